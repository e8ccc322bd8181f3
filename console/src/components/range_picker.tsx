// How far back a trend looks.
import { RANGES, type RangeId } from '../lib/trend';

export function RangePicker({ chosen, onChoose }: { chosen: RangeId | null; onChoose: (range: RangeId) => void }) {
  return (
    <div className="segmented" role="group" aria-label="Range">
      {RANGES.map((range) => (
        <button key={range.id} type="button" aria-pressed={range.id === chosen} onClick={() => onChoose(range.id)}>
          {range.label}
        </button>
      ))}
    </div>
  );
}
