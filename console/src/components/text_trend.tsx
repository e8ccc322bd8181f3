// What a point of text said over the last hours: a strip of its texts, and the changes as a table.
import { useState } from 'react';
import { api, type TextTrendRow } from '../api';
import { useResource } from '../data/cache';
import { usePlantNow } from '../hooks';
import { formatCount, formatDuration } from '../lib/format';
import { textLine, textOrder, textSpans, type TextSpan } from '../lib/texts';
import { clockText, isoTime } from '../lib/time';
import { spanOf, type RangeId } from '../lib/trend';
import { plantTime } from '../live/state';
import { live } from '../live/store';
import { Empty, Loading, ProblemNote } from './problem';
import { RangePicker } from './range_picker';

const WIDTH = 1000;
const ROWS = 50;
const SHADES = 6;

export function TextTrend({ path, title }: { path: string; title: string }) {
  const [range, setRange] = useState<RangeId>('8h');
  const read = async () => {
    const now = plantTime(live.get(), Date.now());
    const from = now - spanOf(range);
    const answer = await api.trend(path, { from: isoTime(from), to: isoTime(now), width: WIDTH });
    return { from, to: now, spans: textSpans(answer.points as unknown as TextTrendRow[], now) };
  };
  const { data, problem, reload } = useResource(`texts/${path}/${range}`, read, 5_000);
  const now = usePlantNow();
  return (
    <section className="panel trend" aria-label={`Texts of ${title}`} data-trend={path}>
      <div className="head">
        <h3>{title}</h3>
        <div className="tools">
          <RangePicker chosen={range} onChoose={setRange} />
        </div>
      </div>
      {!data && (problem ? <ProblemNote problem={problem} retry={reload} /> : <Loading lines={3} />)}
      {data && data.spans.length === 0 && <Empty title="No samples in this window">Choose a longer range, or see under Data whether the device is connected.</Empty>}
      {data && data.spans.length > 0 && (
        <>
          <Strip spans={data.spans} from={data.from} to={data.to} now={now} />
          <Changes spans={data.spans} now={now} />
        </>
      )}
    </section>
  );
}

function Strip({ spans, from, to, now }: { spans: readonly TextSpan[]; from: number; to: number; now: number }) {
  const order = textOrder(spans);
  const x = (time: number) => ((time - from) / (to - from)) * WIDTH;
  const last = spans.at(-1);
  return (
    <svg className="states" viewBox={`0 0 ${WIDTH} 22`} preserveAspectRatio="none" role="img" aria-label={`${spans.length} stretches, now ${textLine(last?.text ?? null)}`}>
      {spans.map((span, index) => (
        <rect key={`${span.from}-${index}`} x={x(span.from)} width={Math.max(1, x(span.to) - x(span.from))} y="1" height="20" className={span.text === null ? 'span unknown' : `span said-${(order.get(span.text) ?? 0) % SHADES}`}>
          <title>{`${textLine(span.text)}, ${clockText(span.from, now)} to ${clockText(span.to, now)}, ${formatCount(span.samples)} samples`}</title>
        </rect>
      ))}
    </svg>
  );
}

function Changes({ spans, now }: { spans: readonly TextSpan[]; now: number }) {
  const order = textOrder(spans);
  const shown = [...spans].reverse().slice(0, ROWS);
  return (
    <div className="scroll table-box" tabIndex={0} role="region" aria-label="Changes, the latest first">
      <table>
        <thead>
          <tr>
            <th scope="col">Since</th>
            <th scope="col">Text</th>
            <th scope="col" className="num">For</th>
          </tr>
        </thead>
        <tbody>
          {shown.map((span, index) => (
            <tr key={`${span.from}-${index}`}>
              <td title={new Date(span.from).toISOString()}>{clockText(span.from, now, true)}</td>
              <td title={span.text ?? undefined}>
                {span.text !== null && (
                  <svg width="16" height="10" aria-hidden="true">
                    <rect width="16" height="10" className={`span said-${(order.get(span.text) ?? 0) % SHADES}`} />
                  </svg>
                )}{' '}
                {textLine(span.text)}
              </td>
              <td className="num">{formatDuration((span.to - span.from) / 1000)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {spans.length > ROWS && <p className="flow">{spans.length - ROWS} earlier changes in this window</p>}
    </div>
  );
}
