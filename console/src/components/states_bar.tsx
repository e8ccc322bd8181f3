// What a machine did over the last hours: a bar of its states by pattern, and the same as a table.
import { useState } from 'react';
import { api, type MachineState, type StateSpan } from '../api';
import { useResource } from '../data/cache';
import { usePlantNow } from '../hooks';
import { formatDuration } from '../lib/format';
import { clockText, isoTime } from '../lib/time';
import { plantTime } from '../live/state';
import { live } from '../live/store';
import { Empty, Loading, ProblemNote } from './problem';
import { TimeText } from './time_text';

const HOURS = 8;
const ORDER: MachineState[] = ['running', 'idle', 'down', 'planned', 'unknown'];

interface Piece extends StateSpan {
  start: number;
  end: number;
}

function pieces(spans: readonly StateSpan[], from: number, to: number): Piece[] {
  return spans
    .map((span) => ({ ...span, start: Math.max(Date.parse(span.from), from), end: Math.min(span.to ? Date.parse(span.to) : to, to) }))
    .filter((piece) => piece.end > piece.start)
    .sort((a, b) => a.start - b.start);
}

export function StatesBar({ asset }: { asset: string }) {
  const [table, setTable] = useState(false);
  const read = () => {
    const now = plantTime(live.get(), Date.now());
    return api.states(asset, isoTime(now - HOURS * 3_600_000), isoTime(now));
  };
  const { data, problem, reload } = useResource(`states/${asset}`, read, 10_000);
  const now = usePlantNow();
  const from = now - HOURS * 3_600_000;
  const shown = pieces(data?.items ?? [], from, now);
  const sum = (state: MachineState) => shown.filter((p) => p.state === state).reduce((total, p) => total + p.end - p.start, 0);
  return (
    <section className="panel" aria-label="States">
      <div className="head">
        <h3>States, {HOURS} h</h3>
        <button type="button" className="tool text" aria-pressed={table} onClick={() => setTable(!table)}>
          Table
        </button>
      </div>
      {!data && (problem ? <ProblemNote problem={problem} retry={reload} /> : <Loading lines={2} />)}
      {data && shown.length === 0 && <Empty title="No state yet">It comes with the first sample of the point that tells whether the machine runs.</Empty>}
      {shown.length > 0 && !table && (
        <>
          <svg className="states" viewBox="0 0 1000 22" preserveAspectRatio="none" role="img" aria-label={ORDER.filter((s) => sum(s) > 0).map((s) => `${s} ${formatDuration(sum(s) / 1000)}`).join(', ')}>
            <defs>
              <pattern id="hatch" width="8" height="8" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
                <line x1="0" y1="0" x2="0" y2="8" className="hatch" />
              </pattern>
            </defs>
            {shown.map((piece) => (
              <rect key={piece.start} x={((piece.start - from) / (now - from)) * 1000} width={Math.max(1, ((piece.end - piece.start) / (now - from)) * 1000)} y="1" height="20" className={`span ${piece.state}`}>
                <title>{`${piece.state} ${clockText(piece.start, now)} to ${clockText(piece.end, now)}${piece.reason ? `: ${piece.reason}` : ''}`}</title>
              </rect>
            ))}
          </svg>
          <ul className="legend">
            {ORDER.filter((state) => sum(state) > 0).map((state) => (
              <li key={state}>
                <svg width="16" height="10" aria-hidden="true">
                  <rect width="16" height="10" className={`span ${state}`} />
                </svg>
                {state} {formatDuration(sum(state) / 1000)}
              </li>
            ))}
          </ul>
        </>
      )}
      {shown.length > 0 && table && (
        <div className="scroll table-box" tabIndex={0}>
          <table>
            <thead>
              <tr>
                <th scope="col">From</th>
                <th scope="col">To</th>
                <th scope="col">State</th>
                <th scope="col">Reason</th>
              </tr>
            </thead>
            <tbody>
              {[...shown].reverse().map((piece) => (
                <tr key={piece.start}>
                  <td>
                    <TimeText time={piece.from} />
                  </td>
                  <td>
                    <TimeText time={piece.to} none="now" />
                  </td>
                  <td>{piece.state}</td>
                  <td>{piece.reason}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}
