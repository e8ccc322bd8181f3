import { describe, expect, it } from 'vitest';
import type { TrendRow } from '../api';
import { appendLive, decimate, gapLimit, sparkGap, sparkPath, toRate, toSeries, valueRange } from './trend';

const flat = (t: number, v: number | null, bad = 0): TrendRow => [t, v, v, v, v, 1, bad];

describe('decimate', () => {
  it('leaves few rows alone', () => {
    const rows = [flat(0, 1), flat(10, 2)];
    expect(decimate(rows, 100)).toEqual(rows);
  });
  it('never keeps more rows than pixels, and never loses an extreme', () => {
    const rows = Array.from({ length: 1000 }, (_, i): TrendRow => flat(i, i === 357 ? 99 : 1));
    const fewer = decimate(rows, 120);
    expect(fewer.length).toBeLessThanOrEqual(120);
    expect(Math.max(...fewer.map((row) => row[3] ?? 0))).toBe(99);
    expect(fewer.reduce((sum, row) => sum + row[5], 0)).toBe(1000);
  });
  it('merges buckets without a good sample', () => {
    expect(decimate([flat(0, null, 1), flat(1, null, 1)], 1)).toEqual([[0, null, null, null, null, 2, 2]]);
    expect(decimate([flat(0, null, 1), flat(1, 5)], 1)).toEqual([[0, 5, 5, 5, 5, 2, 1]]);
  });
});

describe('series', () => {
  it('draws first, min, max and last of a bucket, at most four values per pixel', () => {
    const rising = toSeries([[1000, 2, 1, 9, 8, 40, 0]], 1000);
    expect(rising.values).toEqual([2, 1, 9, 8]);
    const falling = toSeries([[1000, 8, 1, 9, 2, 40, 0]], 1000);
    expect(falling.values).toEqual([8, 9, 1, 2]);
    expect([...rising.times].sort((a, b) => a - b)).toEqual(rising.times);
  });
  it('breaks where data is missing', () => {
    const rows = [0, 10, 20, 200, 210].map((t) => flat(t * 1000, 1));
    expect(toSeries(rows, 1000).values).toEqual([1, 1, 1, null, 1, 1]);
  });
  it('does not break between slow samples', () => {
    const rows = [0, 120, 240, 360].map((t) => flat(t * 1000, 1));
    expect(gapLimit(rows, 4500)).toBe(360_000);
    expect(toSeries(rows, 4500).values).toEqual([1, 1, 1, 1]);
  });
  it('shows bad samples as a break', () => {
    expect(toSeries([flat(0, 1), flat(1000, null, 1), flat(2000, 1)], 1000).values).toEqual([1, null, 1]);
  });
});

describe('live values', () => {
  const good = (time: number, value: number) => ({ time, value, good: true });
  it('join the newest bucket', () => {
    expect(appendLive([[0, 1, 1, 1, 1, 1, 0]], good(500, 4), 1000, 0)).toEqual([[0, 1, 1, 4, 4, 2, 0]]);
  });
  it('open the next bucket and let old ones go', () => {
    const rows = appendLive([flat(0, 1), flat(9000, 2)], good(10_200, 3), 1000, 5000);
    expect(rows).toEqual([flat(9000, 2), flat(10_000, 3)]);
  });
  it('count a bad one without drawing it', () => {
    expect(appendLive([flat(0, 1)], { time: 500, value: 7, good: false }, 1000, 0)).toEqual([[0, 1, 1, 1, 1, 2, 1]]);
  });
  it('ignore what is older than the newest bucket', () => {
    expect(appendLive([flat(5000, 1)], good(100, 9), 1000, 0)).toEqual([flat(5000, 1)]);
  });
});

describe('a counter', () => {
  const HOUR = 3_600_000;
  it('is its rate per hour over a while before', () => {
    const rows = toRate([flat(0, 100), flat(HOUR / 2, 150), flat(HOUR, 250), flat(2 * HOUR, 250)], HOUR);
    expect(rows.map((row) => [row[0], row[4]])).toEqual([[HOUR / 2, 100], [HOUR, 150], [2 * HOUR, 0]]);
  });
  it('has no rate where it was reset', () => {
    expect(toRate([flat(0, 100), flat(HOUR, 3)], HOUR)[0]?.[4]).toBeNull();
  });
});

describe('ranges and sparks', () => {
  it('say where a spark has no value yet', () => {
    expect(sparkGap([null, null, 1], 44)).toBe(44);
    expect(sparkGap([1, null, 2], 44)).toBe(0);
    expect(sparkGap([null, null], 44)).toBe(44);
  });
  it('include the normal band', () => {
    const [min, max] = valueRange({ times: [0], values: [5] }, 1, 3);
    expect(min).toBeLessThanOrEqual(1);
    expect(max).toBeGreaterThan(5);
    expect(valueRange({ times: [], values: [] }, null, null)).toEqual([0, 1]);
  });
  it('break a spark at a missing bucket', () => {
    expect(sparkPath([1, null, 2], 44, 20)).toBe('M0.0 18.0M44.0 2.0');
    expect(sparkPath([null], 44, 20)).toBe('');
    expect(sparkPath([3, 3], 44, 20)).toBe('M0.0 10.0L44.0 10.0');
  });
});
