// The one place that speaks to the node: the types of docs/formats/rest.md and a function for each request.
// A failed request throws a Problem (RFC 9457), with the fix that the node proposes where it has one.

import type { Edge, Invitation, Uplink } from './api_edges';
import type { AccessRequest, Compliance, Contract, ContractDetail, ContractVersion, Product, ProductDetail, SqlAnswer } from './api_products';

export type * from './api_products';

export type Time = string; // RFC 3339, UTC, microseconds.
export type Role = 'viewer' | 'technician' | 'engineer' | 'admin';
export const ROLES: readonly Role[] = ['viewer', 'technician', 'engineer', 'admin'];

export interface List<T> {
  items: T[];
  next: string | null;
}

export interface User {
  name: string;
  role: Role;
  titles?: string[]; // What they answer for at the plant, beside the role: "plant-manager".
}

export interface Session {
  setup_needed: boolean;
  user: User | null;
  time: Time;
  speed: number;
  site: string;
  node: string;
  version: string;
}

export interface Asset {
  path: string;
  name: string;
  title: string;
  thing: string | null;
  children: number;
  state: MachineState;
  active_alarms: number;
  worst_priority: Priority | null;
}

export type MachineState = 'running' | 'idle' | 'down' | 'planned' | 'unknown';
export type Priority = 1 | 2 | 3;
export type Scalar = number | boolean | string | null;

export interface Thing {
  name: string;
  id: string;
  title: string;
  asset: string;
  model: string;
  file: string;
  protocols: string[];
  points: number;
}

export interface ThingDetail extends Thing {
  document: unknown;
  point_list: Point[];
}

export interface Point {
  id: number | string;
  path: string;
  thing: string;
  property: string;
  title: string;
  asset: string;
  unit: string;
  type: string;
  minimum: number | null;
  maximum: number | null;
  value: Scalar;
  quality: string | null; // Null until the first sample.
  withheld?: boolean; // Its values are personal and not for us.
  time: Time | null;
  normal_low: number | null;
  normal_high: number | null;
  sample_rate_hz: number | null;
  spark?: (number | null)[];
  words?: [number, string][]; // What values of a switch or a whole number are called.
}

// Of a point of text: [start of the bucket in ms, first, null, null, last, samples, of which bad]
export type TextTrendRow = [number, string | null, null, null, string | null, number, number];

// [start of the bucket in ms, first, min, max, last, samples, of which bad]
export type TrendRow = [number, number | null, number | null, number | null, number | null, number, number];

export interface Trend {
  path: string;
  unit: string;
  from: Time;
  to: Time;
  width: number;
  of?: 'samples' | 'rms'; // Waveforms: what the rows are made of.
  normal_low: number | null;
  normal_high: number | null;
  points: TrendRow[];
}

export interface Overview {
  time: Time;
  speed: number;
  site: string;
  to_act: number;
  shelved: number;
  alarms_per_hour: number | null;
  alarms_per_hour_limit: number;
  samples_per_s: number | null;
  lost: number;
  quarantined: number;
  log_durable_ms: number | null;
  log_failing?: boolean;
  hub: string;
  node: string;
}

export interface Quarantined {
  id: number;
  at: Time;
  source: string;
  point: string;
  rule: string;
  value: Scalar;
  message: string;
  state?: 'open' | 'releasing' | 'released' | 'discarded' | 'noted';
  releasable?: boolean;
  contract?: string; // "pump@1.2.0", of samples that broke one.
  source_time?: Time;
  samples?: number;
  corrected?: number | null;
  by?: string;
  reason?: string;
  resolved_at?: Time;
}

export interface Ledger {
  produced: number;
  stored: number;
  forwarded: number;
  evicted: number;
  quarantined: number;
  duplicates: number;
  refused: number;
  pending: number;
  gap: number;
}

export interface Device {
  name: string;
  protocol: string;
  address: string;
  state: 'connected' | 'retrying' | 'never';
  since: Time | null;
  last_seen: Time | null;
  samples: number;
  errors: number;
  last_error: string | null;
  restarts: number;
}

export type AlarmState =
  | 'active_unacknowledged'
  | 'active_acknowledged'
  | 'cleared_unacknowledged'
  | 'normal'
  | 'shelved'
  | 'suppressed'
  | 'out_of_service';

export type VerdictKind =
  | 'true_fault'
  | 'known_or_planned'
  | 'sensor_fault'
  | 'false_alarm'
  | 'mode_change'
  | 'unsure';

export interface Contribution {
  feature: string;
  value: number | null;
  unit: string;
  normal_low: number | null;
  normal_high: number | null;
  contribution: number;
}

export interface Verdict {
  kind: VerdictKind;
  code: string;
  note: string;
  actor: string;
  at: Time;
}

export interface Alarm {
  id: string;
  trace: string;
  thing: string;
  asset: string;
  asset_title: string;
  cause: string;
  title: string;
  consequence: string;
  response: string;
  respond_within_s: number | null;
  priority: Priority;
  state: AlarmState;
  raised: Time;
  last_change: Time;
  acknowledged_at: Time | null;
  acknowledged_by: string | null;
  cleared_at: Time | null;
  shelved_until: Time | null;
  seen_at: Time | null;
  confidence: number | null;
  confidence_low: number | null;
  confidence_high: number | null;
  model: string;
  because: Contribution[];
  track_record: { right: number; of: number } | null;
  superseded_by?: string | null; // The alarm that took its place: nothing is left to be answered here.
  verdict: Verdict | null;
}

export interface Step {
  at: Time;
  stage: string;
  text: string;
  detail: unknown;
}

export interface Chain {
  id: string;
  trace: string;
  title: string;
  steps: Step[];
  audit: { leaf: number; proof_ok: boolean } | null;
}

export interface Model {
  name: string;
  version: number | string | null; // Null while no version is loaded.
  digest: string | null;
  kind?: string;
  classes?: string[];
  features: unknown;
  trained_at: Time | null;
  rows: number | null;
  metrics: Record<string, unknown> | null;
  on: string[];
  predictions: number;
  latency_us_p50: number | null;
  latency_us_p99: number | null;
}

export interface KpiPart {
  value: number | null;
  unit: string;
  text: string;
}

export interface Kpi {
  name: string;
  title: string;
  asset: string;
  unit: string;
  value: number | null;
  low: number | null;
  high: number | null;
  confidence: number | null;
  numerator: KpiPart | null;
  denominator: KpiPart | null;
  n: number | null;
  formula: string;
  reference: string;
  from: Time;
  to: Time;
  previous: number | null;
}

export interface StateSpan {
  from: Time;
  to: Time | null;
  state: MachineState;
  reason: string;
}

export interface GateSummary {
  name: string;
  title: string;
  hold: number;
  of: number;
  open: boolean;
}

export interface UseCase {
  name: string;
  title: string;
  sponsor: string;
  kpi: unknown;
  value: unknown;
  gates: GateSummary[];
}

export interface GateCheck {
  id: string;
  title: string;
  state: 'ok' | 'blocked';
  value: Scalar;
  limit: Scalar;
  text: string;
  query: string;
  fix: string | null;
  since: Time | null;
}

export interface Gate {
  usecase: string;
  gate: string;
  title: string;
  state: 'open' | 'blocked';
  hold: number;
  of: number;
  checks: GateCheck[];
}

export interface AuditEntry {
  leaf: number;
  at: Time;
  actor: string;
  action: string;
  subject: string;
  trace: string;
  detail: unknown;
}

export interface AuditProof {
  leaf: number;
  size: number;
  root: string;
  path: string[];
  leaf_hash?: string;
  proof_ok?: boolean; // What the node itself found.
}

export interface Token {
  name: string;
  role: Role;
  created?: Time;
}

export interface Label {
  id: string;
  version: number;
  thing: string;
  from: Time;
  to: Time;
  class: string;
  source: string;
  trace: string;
}

export class Problem extends Error {
  readonly status: number;
  readonly title: string;
  readonly detail: string;
  readonly pointer: string | undefined;
  readonly fix: string | undefined;
  constructor(status: number, title: string, detail = '', pointer?: string, fix?: string) {
    super(detail === '' ? title : `${title}: ${detail}`);
    this.status = status;
    this.title = title;
    this.detail = detail;
    this.pointer = pointer;
    this.fix = fix;
  }
}

const BASE = '/api/v1';

async function problemOf(response: Response): Promise<Problem> {
  const fallback = new Problem(response.status, `The node answered ${response.status} ${response.statusText}`.trim());
  try {
    const body = (await response.json()) as Record<string, unknown>;
    const text = (key: string) => (typeof body[key] === 'string' ? (body[key] as string) : undefined);
    return new Problem(response.status, text('title') ?? fallback.title, text('detail') ?? '', text('pointer'), text('fix'));
  } catch {
    return fallback;
  }
}

async function request<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  const headers: Record<string, string> = { Accept: 'application/json' };
  if (method !== 'GET') headers['X-Penstock-CSRF'] = '1';
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  let response: Response;
  try {
    response = await fetch(BASE + path, {
      method,
      headers,
      credentials: 'same-origin',
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(signal ? { signal } : {}),
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new Problem(0, 'The node cannot be reached', '', undefined, 'Check that it runs and that this device is on its network; the page tries again by itself.');
  }
  if (!response.ok) throw await problemOf(response);
  const text = await response.text();
  return (text === '' ? undefined : JSON.parse(text)) as T;
}

type Query = Record<string, string | number | undefined>;

export function withQuery(path: string, query: Query): string {
  const pairs = Object.entries(query).filter(([, value]) => value !== undefined && value !== '');
  if (pairs.length === 0) return path;
  return `${path}?${pairs.map(([k, v]) => `${k}=${encodeURIComponent(String(v))}`).join('&')}`;
}

const get = <T>(path: string, query: Query = {}, signal?: AbortSignal) =>
  request<T>('GET', withQuery(path, query), undefined, signal);
const post = <T>(path: string, body: unknown = {}) => request<T>('POST', path, body);
const part = encodeURIComponent;

export const LIVE_URL = `${BASE}/live`;

export const api = {
  session: () => get<Session>('/session'),
  setUp: (body: { token: string; name: string; password: string }) => post<unknown>('/session/setup', body),
  logIn: (body: { name: string; password: string }) => post<{ user: User }>('/session', body),
  logOut: () => request<unknown>('DELETE', '/session'),

  overview: () => get<Overview>('/overview'),
  assets: () => get<List<Asset>>('/assets', { limit: 1000 }),
  things: () => get<List<Thing>>('/things', { limit: 1000 }),
  thing: (name: string) => get<ThingDetail>(`/things/${part(name)}`),
  points: (query: { thing?: string; spark?: 1 } = {}) => get<List<Point>>('/points', { ...query, limit: 1000 }),
  trend: (path: string, query: { from: Time; to: Time; width: number; of?: string }, signal?: AbortSignal) =>
    get<Trend>(`/points/${path.split('/').map(part).join('/')}/trend`, query, signal),
  quarantine: (after?: string, state?: string) => get<List<Quarantined>>('/quarantine', { after, state, limit: 100 }),
  release: (id: number, body: { reason: string; value?: number }) => post<Quarantined>(`/quarantine/${id}/release`, body),
  discard: (id: number, body: { reason: string }) => post<Quarantined>(`/quarantine/${id}/discard`, body),

  products: () => get<List<Product>>('/products'),
  product: (name: string) => get<ProductDetail>(`/products/${part(name)}`),
  askAccess: (name: string, body: { purpose: string; personal: boolean }) =>
    post<AccessRequest>(`/products/${part(name)}/access-requests`, body),
  accessRequests: (product?: string) => get<List<AccessRequest>>('/access-requests', { product }),
  grantAccess: (id: number, body: { for: string; personal: boolean; note: string }) =>
    post<AccessRequest>(`/access-requests/${id}/grant`, body),
  denyAccess: (id: number, body: { note: string }) => post<AccessRequest>(`/access-requests/${id}/deny`, body),
  sql: (body: { sql: string; limit: number }) => post<SqlAnswer>('/sql', body),

  contracts: () => get<List<Contract>>('/contracts'),
  contract: (id: string) => get<ContractDetail>(`/contracts/${part(id)}`),
  contractVersions: (id: string) => get<List<ContractVersion>>(`/contracts/${part(id)}/versions`),
  compliance: (id: string) => get<Compliance>(`/contracts/${part(id)}/compliance`),
  ledger: () => get<Ledger>('/ledger'),
  devices: () => get<List<Device>>('/devices'),

  alarms: (query: { state?: 'open' | 'all'; thing?: string; after?: string }) =>
    get<List<Alarm>>('/alarms', { ...query, limit: 100 }),
  alarm: (id: string) => get<Alarm>(`/alarms/${part(id)}`),
  acknowledge: (id: string) => post<Alarm | undefined>(`/alarms/${part(id)}/acknowledge`),
  shelve: (id: string, body: { for: string; reason: string }) => post<Alarm | undefined>(`/alarms/${part(id)}/shelve`, body),
  unshelve: (id: string) => post<Alarm | undefined>(`/alarms/${part(id)}/unshelve`),
  verdict: (id: string, body: { kind: VerdictKind; code: string; note: string }) =>
    post<Alarm>(`/alarms/${part(id)}/verdict`, body),
  trace: (trace: string) => get<Chain>(`/traces/${part(trace)}`),
  labels: () => get<List<Label>>('/labels'),

  models: () => get<List<Model>>('/models'),
  kpis: (asset?: string) => get<List<Kpi>>('/kpis', { asset }),
  kpiEvents: (name: string, asset?: string) =>
    get<List<Record<string, unknown>>>(`/kpis/${part(name)}/events`, { asset }),
  states: (asset: string, from: Time, to: Time) => get<List<StateSpan>>('/states', { asset, from, to }),
  useCases: () => get<List<UseCase>>('/usecases'),
  gate: (useCase: string, gate: string) => get<Gate>(`/usecases/${part(useCase)}/gates/${part(gate)}`),
  sign: (useCase: string, gate: string, body: { as: string; note: string }) =>
    post<unknown>(`/usecases/${part(useCase)}/gates/${part(gate)}/sign`, body),

  audit: (after?: string) => get<List<AuditEntry>>('/audit', { after, limit: 100 }),
  auditRoot: () => get<{ size: number; root: string }>('/audit/root'),
  auditProof: (leaf: number) => get<AuditProof>(`/audit/${leaf}/proof`),
  users: () => get<List<User & { created?: Time }>>('/users'),
  addUser: (body: { name: string; password: string; role: Role }) => post<unknown>('/users', body),
  changeUser: (name: string, body: { role?: Role; titles?: string[] }) => request<unknown>('PATCH', `/users/${part(name)}`, body),
  removeUser: (name: string) => request<unknown>('DELETE', `/users/${part(name)}`),
  tokens: () => get<List<Token>>('/tokens'),
  addToken: (body: { name: string; role: Role }) => post<{ secret: string }>('/tokens', body),
  edges: () => get<List<Edge>>('/edges'),
  inviteEdge: (name: string) => post<Invitation>('/edges', { name }),
  revokeEdge: (name: string) => post<unknown>(`/edges/${part(name)}/revoke`, {}),
  uplink: () => get<Uplink>('/uplink'),
  removeToken: (name: string) => request<unknown>('DELETE', `/tokens/${part(name)}`),
};
