// Rows of a trend -> what a line chart draws. A row is a bucket of one pixel: first, min, max, last; all four are drawn,
// so that a spike of one sample stays visible. Where samples are missing the line breaks.
import type { TrendRow } from '../api';

export interface Series {
  times: number[]; // Seconds, as the chart wants them.
  values: (number | null)[];
}

const HOUR = 3_600_000;
export const RANGES = [
  { id: '1h', label: '1 h', ms: HOUR },
  { id: '8h', label: '8 h', ms: 8 * HOUR },
  { id: '1d', label: '1 d', ms: 24 * HOUR },
  { id: '7d', label: '7 d', ms: 7 * 24 * HOUR },
] as const;
export type RangeId = (typeof RANGES)[number]['id'];
export const spanOf = (range: RangeId) => RANGES.find((r) => r.id === range)?.ms ?? RANGES[1].ms;

// Never more rows than pixels: neighbours are merged when the chart has become narrower than what was asked for.
export function decimate(rows: readonly TrendRow[], pixels: number): TrendRow[] {
  const limit = Math.max(1, Math.floor(pixels));
  if (rows.length <= limit) return [...rows];
  const size = Math.ceil(rows.length / limit);
  const merged: TrendRow[] = [];
  for (let i = 0; i < rows.length; i += size) merged.push(mergeRows(rows.slice(i, i + size)));
  return merged;
}

function mergeRows(rows: readonly TrendRow[]): TrendRow {
  const valued = rows.filter((row) => row[2] !== null && row[3] !== null);
  const start = rows[0]?.[0] ?? 0;
  const count = rows.reduce((sum, row) => sum + row[5], 0);
  const bad = rows.reduce((sum, row) => sum + row[6], 0);
  if (valued.length === 0) return [start, null, null, null, null, count, bad];
  const min = Math.min(...valued.map((row) => row[2] as number));
  const max = Math.max(...valued.map((row) => row[3] as number));
  return [start, valued[0]?.[1] ?? min, min, max, valued.at(-1)?.[4] ?? max, count, bad];
}

// A pause is a gap when it is much longer than both a pixel and the usual distance of samples.
export function gapLimit(rows: readonly TrendRow[], bucketMs: number): number {
  const steps: number[] = [];
  for (let i = 1; i < rows.length; i++) steps.push((rows[i] as TrendRow)[0] - (rows[i - 1] as TrendRow)[0]);
  steps.sort((a, b) => a - b);
  const usual = steps[Math.floor(steps.length / 2)] ?? bucketMs;
  return Math.max(2.5 * bucketMs, 3 * usual);
}

export function toSeries(rows: readonly TrendRow[], bucketMs: number): Series {
  const times: number[] = [];
  const values: (number | null)[] = [];
  const limit = gapLimit(rows, bucketMs);
  let before: number | null = null;
  for (const [start, first, min, max, last] of rows) {
    if (before !== null && start - before > limit) {
      times.push((before + bucketMs) / 1000);
      values.push(null);
    }
    before = start;
    const step = bucketMs / 4000;
    const t = start / 1000;
    if (min === null || max === null) {
      times.push(t);
      values.push(null);
    } else if (min === max) {
      times.push(t);
      values.push(min);
    } else {
      const rising = (last ?? max) >= (first ?? min);
      times.push(t, t + step, t + 2 * step, t + 3 * step);
      values.push(first ?? min, rising ? min : max, rising ? max : min, last ?? max);
    }
  }
  return { times, values };
}

// A counter says little, its rate says much: rows of a counter -> rows of its rate per hour, each over `windowMs`
// before it. Where the counter falls, somebody reset it, and there is no rate.
export function toRate(rows: readonly TrendRow[], windowMs: number): TrendRow[] {
  const out: TrendRow[] = [];
  let start = 0;
  rows.forEach((row, i) => {
    const [time, , , , last, count, bad] = row;
    while (start < i && (rows[start] as TrendRow)[0] < time - windowMs) start++;
    const [since, first] = rows[start] as TrendRow;
    if (time - since < windowMs / 2) return;
    const rate = first === null || last === null || last < first ? null : ((last - first) / (time - since)) * HOUR;
    out.push([time, rate, rate, rate, rate, count, bad]);
  });
  return out;
}

// A live value joins the newest bucket or opens the next one; what has left the window on the left goes.
export function appendLive(
  rows: readonly TrendRow[],
  sample: { time: number; value: number | null; good: boolean },
  bucketMs: number,
  fromMs: number,
): TrendRow[] {
  const kept = rows.filter((row) => row[0] >= fromMs - bucketMs);
  const last = kept.at(-1);
  const { time, value, good } = sample;
  const usable = good ? value : null;
  const bad = good ? 0 : 1;
  if (last && time < last[0] + bucketMs) {
    if (time < last[0]) return kept;
    const [start, first, min, max, final, count, bads] = last;
    const next: TrendRow =
      usable === null
        ? [start, first, min, max, final, count + 1, bads + bad]
        : [start, first ?? usable, Math.min(min ?? usable, usable), Math.max(max ?? usable, usable), usable, count + 1, bads + bad];
    return [...kept.slice(0, -1), next];
  }
  const start = last ? last[0] + Math.floor((time - last[0]) / bucketMs) * bucketMs : time;
  return [...kept, [start, usable, usable, usable, usable, 1, bad]];
}

// The values' range with air, always showing the normal band.
export function valueRange(series: Series, low: number | null, high: number | null): [number, number] {
  let min = low ?? Infinity;
  let max = high ?? -Infinity;
  for (const value of series.values) {
    if (value === null) continue;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  if (!Number.isFinite(min) || !Number.isFinite(max)) return [0, 1];
  if (min === max) return [min - Math.max(1, Math.abs(min) * 0.1), max + Math.max(1, Math.abs(max) * 0.1)];
  const air = (max - min) * 0.08;
  return [min >= 0 && min - air < 0 ? 0 : min - air, max + air];
}

// How much of a little line's width has no value yet, from the left: a dotted line says so.
export function sparkGap(values: readonly (number | null)[], width: number): number {
  const first = values.findIndex((v) => v !== null);
  return ((first < 0 ? values.length - 1 : first) * width) / Math.max(1, values.length - 1);
}

// A path for the little lines of 8 hours; a missing bucket breaks the line.
export function sparkPath(values: readonly (number | null)[], width: number, height: number): string {
  const known = values.filter((v): v is number => v !== null && Number.isFinite(v));
  if (known.length === 0) return '';
  const min = Math.min(...known);
  const span = Math.max(...known) - min || 1;
  const flat = Math.max(...known) === min;
  let pen = 'M';
  let path = '';
  values.forEach((v, i) => {
    if (v === null || !Number.isFinite(v)) {
      pen = 'M';
      return;
    }
    const x = (i * width) / Math.max(1, values.length - 1);
    const y = flat ? height / 2 : height - 2 - ((v - min) / span) * (height - 4);
    path += `${pen}${x.toFixed(1)} ${y.toFixed(1)}`;
    pen = 'L';
  });
  return path;
}
