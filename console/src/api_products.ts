// Types of data products, contracts and SQL, as docs/formats/product.md has them.
import type { Scalar, Time } from './api';

export interface ProductContract {
  id: string;
  version: string | null;
  status: string | null; // Null: it is named, but not in force.
}

export interface Product {
  name: string;
  title: string;
  domain: string | null;
  owner: string | null;
  team: string | null;
  description: string;
  contracts: ProductContract[];
  models: string[];
  classification: string;
  access: 'open' | 'request';
  may_read: boolean;
  personal: boolean; // Whether personal values are shown to us.
  owned: boolean;
  retention_s: number;
  promised_freshness_s: number | null;
  freshness_s: number | null;
  first: Time | null;
  last: Time | null;
  rows: number;
  bytes: number;
  files: number;
  points: number;
  things: string[];
}

export interface ProductField {
  name: string;
  kind: string | null; // Of thing.
  title: string;
  description: string;
  unit: string;
  type: string;
  sample_rate_hz: number | null;
  classification: string;
  withheld: boolean;
  points: string[];
}

export interface AccessRequest {
  id: number;
  product: string;
  principal: string;
  purpose: string;
  personal: boolean;
  asked: Time;
  state: 'open' | 'granted' | 'denied' | 'revoked' | 'expired';
  decided_by: string | null;
  note: string;
  decided: Time | null;
  expires: Time | null;
  may_decide?: boolean;
}

export interface ProductDetail extends Product {
  fields: ProductField[];
  readers: string[];
  sample: { point: string; time: Time; value: number | null; quality: string }[];
  deleted: { until: Time; rows: number; at: Time } | null;
  my_request: AccessRequest | null;
}

export interface SqlAnswer {
  columns: { name: string; type: string }[];
  rows: Scalar[][];
  row_count: number;
  truncated: boolean;
  elapsed_ms: number;
}

export interface Contract {
  id: string;
  version: string;
  name: string;
  status: string;
  domain: string;
  purpose: string;
  team: string;
  owner: string;
  thing_model: string;
  classification: string;
  file: string;
  fields: number;
  points: number;
}

export interface ContractField {
  name: string;
  unit: string;
  minimum: number | null;
  maximum: number | null;
  required: boolean;
  classification: string;
  personal_data: string[];
  freshness: string | null;
  rules: { metric: string; name: string; rule: string; per_sample: boolean }[];
}

export interface ContractDetail extends Contract {
  field_list: ContractField[];
  document: unknown;
}

export interface ContractVersion {
  version: string;
  accepted_at: Time;
  digest: string;
  applied: { first_sequence: number; since: Time }[];
  changes: unknown;
}

export interface ContractPromise {
  kind: string;
  name: string;
  point: string;
  promised: unknown;
  measured: unknown;
  unit?: string;
  state: 'kept' | 'broken' | 'not_measured';
  severity?: string;
}

export interface Compliance {
  contract: string;
  from: Time;
  to: Time;
  points: number;
  kept: boolean;
  promises: ContractPromise[];
  violations: unknown;
}
