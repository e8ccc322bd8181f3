// Types of edges and the uplink, as docs/formats/uplink.md has them.
import type { Time } from './api';

export interface EdgeEpoch {
  epoch: string;
  received: number; // Rows come from here on.
  rows: number;
  again: number; // Rows that came once more and were not written twice.
  gaps: { first: number; last: number; reason: string; at: Time }[];
}

export interface Edge {
  name: string;
  state: string; // invited, enrolled, revoked
  until?: Time | null; // Of its certificate.
  epochs: EdgeEpoch[];
}

export interface Invitation {
  edge: string;
  hub: string;
  authority: string;
  token: string;
}

export interface Uplink {
  edge: string;
  hub: string;
  connected: boolean;
  error: string | null;
  waiting_records: number;
  rows: { live: number; backfill: number };
  bytes: number;
  lost_rows: number;
  last_durable: Time | null;
}
