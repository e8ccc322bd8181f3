// Priority as shape, number and word; colour is added by the surrounding alarm only while nobody has answered.
import type { Priority } from '../api';
import { PRIORITY_WORD } from '../lib/alarms';

const SHAPES: Record<Priority, string> = {
  1: 'M6 .8 11.6 11.2H.4z',
  2: 'M6 .4 11.6 6 6 11.6.4 6z',
  3: 'M1.2 1.2h9.6v9.6H1.2z',
};

export function PriorityMark({ priority }: { priority: Priority }) {
  return (
    <span className="pri">
      <svg viewBox="0 0 12 12" aria-hidden="true">
        <path d={SHAPES[priority]} fill="currentColor" />
      </svg>
      {priority} {PRIORITY_WORD[priority]}
    </span>
  );
}

export const PRIORITY_CLASS: Record<Priority, string> = { 1: 'high', 2: 'med', 3: 'low' };
