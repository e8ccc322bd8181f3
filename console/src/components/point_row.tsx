// One point on a machine's card: name, value, place in the normal band, 8 hours. Abnormal is shown by a mark and a
// word as well as by colour, and coloured only while an unanswered alarm names it.
import { memo } from 'react';
import type { Point } from '../api';
import { formatCount, formatValue, unitText } from '../lib/format';
import { gauge, isGood, pointLabel, qualityText, standing, wordOf } from '../lib/points';
import { textLine } from '../lib/texts';
import { clockText } from '../lib/time';
import { sparkGap, sparkPath } from '../lib/trend';
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
  if (never) return <span className="quality">{point.withheld ? 'personal' : 'no value yet'}</span>;
  if (!isGood(reading.quality)) {
    const word = reading.quality?.startsWith('Uncertain') ? 'uncertain' : 'bad quality';
    return <span className="quality">{word}</span>;
  }
  return <>{readingValue(point, reading)}</>;
}

// Switches come as 0 and 1; a text on one line, whole in the title.
function readingValue(point: Point, reading: Reading): string {
  const word = wordOf(point, reading.value);
  if (word !== null) return word;
  if (typeof reading.value === 'string') return textLine(reading.value, 60);
  if (point.type === 'boolean' && typeof reading.value === 'number') return formatValue(reading.value !== 0);
  if (point.type === 'integer' && typeof reading.value === 'number') return `${formatCount(reading.value)} ${unitText(point.unit)}`.trim();
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
  runs: boolean; // The normal band is that of a running machine; one that stands still is not abnormal for it.
  alarmed: 'high' | 'med' | 'low' | null;
  selected: boolean;
  onSelect: (point: Point) => void;
}

export const PointRow = memo(function PointRow({ point, runs, alarmed, selected, onSelect }: Props) {
  const reading = useReading(point);
  const good = isGood(reading.quality);
  const at = good && runs ? standing(reading.value, point.normal_low, point.normal_high) : 'unknown';
  const classes = ['pt', alarmed && runs && at !== 'normal' ? `bad ${alarmed}` : '', at === 'above' || at === 'below' ? 'off' : '', reading.stale || (!good && reading.quality !== null) ? 'stale' : ''];
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
      <Spark values={point.spark} />
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

export const Spark = memo(function Spark({ values }: { values: (number | null)[] | undefined }) {
  const gap = values ? sparkGap(values, 44) : 0;
  return (
    <svg className="spark" viewBox="0 0 44 20" preserveAspectRatio="none" aria-hidden="true">
      {gap > 1 && <path className="none" d={`M0 18H${gap}`} />}
      {values && <path d={sparkPath(values, 44, 20)} fill="none" stroke="currentColor" strokeWidth="1.2" />}
    </svg>
  );
});
