// The next page of a list, by the cursor that the node gave.
import { useState } from 'react';
import type { List } from '../api';
import { useAction } from '../hooks';
import { ProblemNote } from './problem';

interface Props<T> {
  next: string | null;
  read: (after: string) => Promise<List<T>>;
  onMore: (items: T[]) => void;
}

export function More<T>({ next, read, onMore }: Props<T>) {
  const [cursor, setCursor] = useState<string | null | undefined>(undefined);
  const after = cursor === undefined ? next : cursor;
  const { run, busy, problem } = useAction(async () => {
    if (after === null) return;
    const list = await read(after);
    onMore(list.items);
    setCursor(list.next);
  });
  if (after === null) return null;
  return (
    <div>
      <ProblemNote problem={problem} />
      <button type="button" className="button" onClick={() => void run()} disabled={busy}>
        {busy ? 'Loading …' : 'Older ones'}
      </button>
    </div>
  );
}
