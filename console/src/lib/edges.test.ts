import { expect, test } from 'vitest';
import { edgeTotals } from './edges';

test('an edge that began anew is the sum of its epochs', () => {
  const gap = { first: 10, last: 19, reason: 'evicted at the edge', at: '2026-03-02T06:00:00Z' };
  const edge = {
    name: 'edge-7',
    state: 'enrolled',
    epochs: [
      { epoch: '1', received: 0, rows: 100, again: 3, gaps: [gap] },
      { epoch: '2', received: 0, rows: 20, again: 0, gaps: [] },
    ],
  };
  expect(edgeTotals(edge)).toEqual({ rows: 120, again: 3, gaps: [gap] });
  expect(edgeTotals({ name: 'new', state: 'invited', epochs: [] })).toEqual({ rows: 0, again: 0, gaps: [] });
});
