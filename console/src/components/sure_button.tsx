// A button that asks once more before it does what cannot be taken back.
import { useState } from 'react';
import { useAction } from '../hooks';
import { ProblemNote } from './problem';

interface Props {
  verb: string; // "Remove"
  what: string;
  action: () => Promise<unknown>;
  onDone: () => void;
}

export function SureButton({ verb, what, action, onDone }: Props) {
  const [sure, setSure] = useState(false);
  const { run, busy, problem } = useAction(async () => {
    await action();
    onDone();
  });
  return (
    <>
      <button type="button" className="link" disabled={busy} onClick={() => (sure ? void run() : setSure(true))} onBlur={() => setSure(false)}>
        {sure ? `Really ${verb.toLowerCase()} ${what}?` : verb}
      </button>
      <ProblemNote problem={problem} />
    </>
  );
}
