// One point on a machine's card: name, value, place in the normal band, 8 hours. Abnormal is shown by a mark and a
// word as well as by colour, and coloured only while an unanswered alarm names it.
import { memo } from 'react';
import type { Point } from '../api';
import { formatValue } from '../lib/format';
import { gauge, isGood, isWaveform, pointLabel, qualityText, standing } from '../lib/points';
import { clockText } from '../lib/time';
import { sparkPath } from '../lib/trend';
import { useConnection, useLiveValue } from '../live/store';

export interface Reading {
  value: Point['value'];
  quality: string | null;
  time: number | null;
  stale: boolean;
}

// The newest of what the list said and what came live since.
export function useReading(point: Point): Reading {
  const liveValue = useLiveValue(point.path);
  const stale = useConnection() === 'lost';
  const listed = point.time === null ? null : Date.parse(point.time);
  if (liveValue && (listed === null || liveValue.time >= listed))
    return { value: liveValue.value, quality: liveValue.quality, time: liveValue.time, stale };
  return { value: point.value, quality: point.quality, time: listed, stale };
}

export function ReadingText({ point, reading }: { point: Point; reading: Reading }) {
  const never = reading.quality === null;
  if (never) return <span className="quality">no value yet</span>;
  if (!isGood(reading.quality)) {
    const word = reading.quality?.startsWith('Uncertain') ? 'uncertain' : 'bad quality';
    return <span className="quality">{word}</span>;
  }
  return <>{readingValue(point, reading)}</>;
}

// Switches come as 0 and 1.
function readingValue(point: Point, reading: Reading): string {
  if (point.type === 'boolean' && typeof reading.value === 'number') return formatValue(reading.value !== 0);
  return formatValue(reading.value, point.unit);
}

export function readingTitle(point: Point, reading: Reading, now: number): string {
  const parts = [`${point.title}: ${readingValue(point, reading)}`, `quality ${qualityText(reading.quality)}`];
  if (point.normal_low !== null && point.normal_high !== null)
    parts.push(`normal ${formatValue(point.normal_low)} to ${formatValue(point.normal_high, point.unit)}`);
  if (reading.time !== null) parts.push(`${clockText(reading.time, now, true)} (${new Date(reading.time).toISOString()})`);
  if (reading.stale) parts.push('stale: the connection is lost');
  return parts.join('; ');
}

const MARK = { above: '▲', below: '▼', normal: '', unknown: '' } as const;

interface Props {
  point: Point;
  alarmed: 'high' | 'med' | 'low' | null;
  selected: boolean;
  onSelect: (point: Point) => void;
}

export const PointRow = memo(function PointRow({ point, alarmed, selected, onSelect }: Props) {
  const reading = useReading(point);
  const good = isGood(reading.quality);
  const at = good ? standing(reading.value, point.normal_low, point.normal_high) : 'unknown';
  const classes = ['pt', alarmed && at !== 'normal' ? `bad ${alarmed}` : '', at === 'above' || at === 'below' ? 'off' : '', reading.stale || (!good && reading.quality !== null) ? 'stale' : ''];
  return (
    <button type="button" className={classes.filter(Boolean).join(' ')} aria-pressed={selected} onClick={() => onSelect(point)} title={readingTitle(point, reading, reading.time ?? 0)} data-point={point.path}>
      <span className="name">{pointLabel(point)}</span>
      <b>
        {MARK[at] && (
          <span className="mark" role="img" aria-label={`${at} normal`}>
            {MARK[at]}
          </span>
        )}
        <ReadingText point={point} reading={reading} />
      </b>
      <GaugeBar point={point} value={good ? reading.value : null} />
      <Spark values={point.spark} wave={isWaveform(point)} />
    </button>
  );
});

export function GaugeBar({ point, value }: { point: Point; value: unknown }) {
  const scale = gauge(point, value);
  if (!scale) return <span className="gauge none" aria-hidden="true" />;
  return (
    <span className="gauge" aria-hidden="true">
      {scale.high > scale.low && <u style={{ left: `${scale.low}%`, width: `${scale.high - scale.low}%` }} />}
      {scale.at !== null && <s style={{ left: `${scale.at}%` }} />}
    </span>
  );
}

const Spark = memo(function Spark({ values }: { values: (number | null)[] | undefined; wave: boolean }) {
  return (
    <svg className="spark" viewBox="0 0 44 20" preserveAspectRatio="none" aria-hidden="true">
      {values && <path d={sparkPath(values, 44, 20)} fill="none" stroke="currentColor" strokeWidth="1.2" />}
    </svg>
  );
});
