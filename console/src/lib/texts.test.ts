import { describe, expect, it } from 'vitest';
import type { TextTrendRow } from '../api';
import { textLine, textOrder, textSpans } from './texts';

const row = (from: number, first: string | null, last: string | null, count = 1, bad = 0): TextTrendRow => [from, first, null, null, last, count, bad];

describe('stretches of text', () => {
  it('join buckets that say the same, and end where another begins', () => {
    const spans = textSpans([row(0, 'on', 'on'), row(10, 'on', 'on', 3), row(20, 'off', 'off'), row(30, 'off', 'on', 2)], 100);
    expect(spans.map((s) => [s.from, s.to, s.text])).toEqual([[0, 20, 'on'], [20, 30, 'off'], [30, 100, 'on']]);
    expect(spans[0]?.samples).toBe(4);
  });
  it('show where nothing good was said', () => {
    const spans = textSpans([row(0, 'on', 'on'), row(10, null, null, 2, 2), row(20, 'on', 'on')], 30);
    expect(spans.map((s) => s.text)).toEqual(['on', null, 'on']);
    expect(textSpans([], 30)).toEqual([]);
  });
  it('give each text one place', () => {
    const spans = textSpans([row(0, 'on', 'on'), row(10, 'off', 'off'), row(20, 'on', 'on')], 30);
    expect([...textOrder(spans)]).toEqual([['on', 0], ['off', 1]]);
  });
  it('are shown on one line', () => {
    expect(textLine('Störung\n  3 ')).toBe('Störung 3');
    expect(textLine('  ')).toBe('empty');
    expect(textLine(null)).toBe('bad quality');
    expect(textLine('x'.repeat(300)).length).toBe(120);
  });
});
