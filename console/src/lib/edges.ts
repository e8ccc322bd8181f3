// What the epochs of an edge (one per fresh log of it) add up to.
import type { Edge, EdgeEpoch } from '../api_edges';

export interface EdgeTotals {
  rows: number;
  again: number;
  gaps: EdgeEpoch['gaps'];
}

export function edgeTotals(edge: Edge): EdgeTotals {
  return {
    rows: edge.epochs.reduce((sum, epoch) => sum + epoch.rows, 0),
    again: edge.epochs.reduce((sum, epoch) => sum + epoch.again, 0),
    gaps: edge.epochs.flatMap((epoch) => epoch.gaps),
  };
}
