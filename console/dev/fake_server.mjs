// A node that is not one: speaks docs/formats/rest.md about a made-up line, for developing and testing the console.
//   node dev/fake_server.mjs [--port 8098] [--setup] [--speed 120] [--alarm-after SECONDS]
// Serves dist/ with the same content security policy as the node. Without --setup: user ada, password "bottles!".
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, existsSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { dirname, extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { HOUR, LINE, SITE, isBad, points, things, trendRows, valueAt } from './plant_model.mjs';

const args = process.argv.slice(2);
const option = (name, fallback) => (args.includes(name) ? Number(args[args.indexOf(name) + 1]) : fallback);
const speed = option('--speed', 120);
const alarmAfter = option('--alarm-after', 2) * 1000;
const DIST = join(dirname(fileURLToPath(import.meta.url)), '..', 'dist');

const started = Date.now();
const start = started + 3 * HOUR;
const plantNow = () => start + (Date.now() - started) * speed;
const iso = (ms) => new Date(ms).toISOString().replace('Z', '000Z');
const onset = start - 3.2 * HOUR;
let repaired = null;
const wear = (t) => (repaired !== null && t > repaired ? 0 : Math.min(1, Math.max(0, (t - onset) / (3.3 * HOUR))) ** 1.4);

const hex = (bytes) => createHash('sha256').update(bytes).digest();
let users = args.includes('--setup') ? [] : [{ name: 'ada', role: 'admin', password: 'bottles!' }];
const setupToken = randomBytes(12).toString('hex');
const sessions = new Map();
const tokens = [];
const audit = [];
const streams = new Set();
let eventId = 0;

function tell(event, data) {
  eventId++;
  for (const stream of streams) stream.write(`id: ${eventId}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
}

// RFC 6962: hashes of leaves and of a tree.
const leafHash = (entry) => hex(Buffer.concat([Buffer.from([0]), Buffer.from(JSON.stringify(entry))]));
const nodeHash = (a, b) => hex(Buffer.concat([Buffer.from([1]), a, b]));
const split = (n) => 2 ** Math.floor(Math.log2(n - 1));
const tree = (l) => (l.length === 0 ? hex('') : l.length === 1 ? l[0] : nodeHash(tree(l.slice(0, split(l.length))), tree(l.slice(split(l.length)))));
function pathOf(m, l) {
  if (l.length <= 1) return [];
  const k = split(l.length);
  return m < k ? [...pathOf(m, l.slice(0, k)), tree(l.slice(k))] : [...pathOf(m - k, l.slice(k)), tree(l.slice(0, k))];
}
function record(actor, action, subject, trace, detail) {
  audit.push({ leaf: audit.length, at: iso(plantNow()), actor, action, subject, trace, detail });
}
record('system', 'node.start', 'cologne-1', '', { version: '0.1.0' });

const alarms = [];
function addAlarm(thing, fields, ago) {
  const raised = iso(plantNow() - ago);
  const known = things.find((t) => t.name === thing);
  const alarm = {
    id: `A-${1040 + alarms.length}`, trace: randomBytes(16).toString('hex'), thing, asset: known.asset, asset_title: known.title,
    state: 'active_unacknowledged', raised, last_change: raised, acknowledged_at: null, acknowledged_by: null, cleared_at: null,
    shelved_until: null, seen_at: null, verdict: null, track_record: { right: 21, of: 23 }, ...fields,
  };
  alarms.push(alarm);
  return alarm;
}
addAlarm('energy-meter-1', {
  cause: 'sensor_flat_line', title: 'Flat line on Energy meter', consequence: 'readings are marked bad; the line itself is fine', response: 'check the meter', respond_within_s: 86400,
  priority: 3, confidence: 0.99, confidence_low: 0.97, confidence_high: 1, model: 'flat-line@1', state: 'shelved', shelved_until: iso(start + 4 * HOUR),
  because: [{ feature: 'active_power.deviation', value: 0, unit: 'kW', normal_low: 1.1, normal_high: 4.8, contribution: 2.4 }],
}, HOUR);
addAlarm('filler-1', {
  cause: 'clogged_nozzle', title: 'Clogged nozzle on Filler', consequence: 'reject rate 1.8 %, normal 0.4 to 1.1', response: 'clean nozzle 4 at the next change-over', respond_within_s: 28800,
  priority: 3, confidence: 0.88, confidence_low: 0.79, confidence_high: 0.94, model: 'filler-faults@2', state: 'active_acknowledged', acknowledged_at: iso(start - 0.7 * HOUR), acknowledged_by: 'shift lead',
  because: [{ feature: 'nozzle_4_pressure.mean', value: 0.74, unit: 'bar', normal_low: 0.83, normal_high: 1.02, contribution: 2.2 }, { feature: 'reject_count.slope', value: 0.09, unit: '/min', normal_low: 0.01, normal_high: 0.05, contribution: 0.7 }],
}, 1.2 * HOUR);

function raiseBearing() {
  const alarm = addAlarm('pump-7', {
    cause: 'bearing_wear', title: 'Bearing wear on Pump 7', consequence: 'seizure likely in 4 to 9 days', response: 'plan the replacement', respond_within_s: 28800,
    priority: 1, confidence: 0.93, confidence_low: 0.86, confidence_high: 0.97, model: 'pump-faults@3',
    because: [
      { feature: 'vibration_de.rms', value: 7.9, unit: 'mm/s', normal_low: 1.8, normal_high: 3.1, contribution: 1.9 },
      { feature: 'vibration_de.kurtosis', value: 6.2, unit: '1', normal_low: 2.7, normal_high: 3.4, contribution: 0.8 },
      { feature: 'motor_current.mean', value: 18.1, unit: 'A', normal_low: 16.5, normal_high: 20.5, contribution: -0.3 },
    ],
  }, 7 * 60_000);
  tell('alarm', alarm);
  tell('overview', overview());
}
setTimeout(raiseBearing, alarmAfter);

const change = (alarm, fields) => {
  Object.assign(alarm, fields, { last_change: iso(plantNow()) });
  tell('alarm', alarm);
  tell('overview', overview());
  return alarm;
};
const isUnacked = (a) => a.state === 'active_unacknowledged' || a.state === 'cleared_unacknowledged';

function overview() {
  return { time: iso(plantNow()), speed, site: SITE, to_act: alarms.filter(isUnacked).length, shelved: alarms.filter((a) => a.state === 'shelved').length, alarms_per_hour: 4.1, alarms_per_hour_limit: 6, samples_per_s: 5000 + Math.round(Math.random() * 30), lost: 0, quarantined: 14, log_durable_ms: 2, hub: 'none', node: 'cologne-1' };
}

const verdicts = { right: 21, of: 23 };
function kpis() {
  const p = verdicts.right / verdicts.of;
  const span = { from: iso(plantNow() - 8 * HOUR), to: iso(plantNow()), confidence: 0.9, reference: 'ISO 22400-2' };
  const part = (value, unit, text) => ({ value, unit, text });
  const row = (name, title, unit, value, rest) => ({ name, title, asset: LINE, unit, value, low: null, high: null, n: null, previous: null, formula: '', numerator: null, denominator: null, ...span, ...rest });
  return [
    row('oee', 'OEE', '%', 78.4, { formula: 'availability x performance x quality', n: 1 }),
    row('availability', 'Availability', '%', 91.0, { formula: 'APT / PBT', numerator: part(7.28, 'h', 'actual production time'), denominator: part(8, 'h', 'planned busy time') }),
    row('performance', 'Performance', '%', 88.7, { formula: 'PQ x PRI / APT' }),
    row('quality', 'Quality', '%', 97.1, { formula: 'GQ / PQ' }),
    row('mttr', 'MTTR', 'h', 1.1, { low: 0.8, high: 1.6, n: 7, previous: 1.4, formula: 'sum(TTR) / (failures + 1)', numerator: part(7.7, 'h', 'time to repair, 7 repairs'), denominator: part(7, '1', 'repairs') }),
    row('first_pass_yield', 'First-pass yield', '%', 98.9, { n: 48210, formula: 'GP / IP', numerator: part(47680, '1', 'good bottles'), denominator: part(48210, '1', 'inspected bottles') }),
    row('energy_per_unit', 'Energy per 1,000 bottles', 'kW.h', 41.7, { low: 40.5, high: 42.9, previous: 44.9, formula: 'energy / good quantity' }),
    row('alarm_precision', 'Alarms that were right', '1', p, { low: Math.max(0, p - 0.11), high: Math.min(1, p + 0.06), n: verdicts.of, formula: 'true faults / verdicts', reference: 'EEMUA 191', numerator: part(verdicts.right, '1', 'true faults'), denominator: part(verdicts.of, '1', 'verdicts') }),
  ];
}

const labels = [];
let signed = false;
function gate() {
  const ok = (id, title, value, limit, text, query) => ({ id, title, state: 'ok', value, limit, text, query, fix: null, since: null });
  const no = (id, title, value, limit, text, query, fix) => ({ id, title, state: 'blocked', value, limit, text, query, fix, since: iso(start - 2 * HOUR) });
  const labelled = 29 + labels.length;
  const checks = [
    signed ? ok('1.1', "sponsor's signature", 'signed', 'signed', 'plant-manager has signed', "SELECT * FROM signatures WHERE usecase = 'bearing-wear-line-1'") : no('1.1', "sponsor's signature", null, 'signed', 'no signature by plant-manager', "SELECT * FROM signatures WHERE usecase = 'bearing-wear-line-1'", 'penstock gate sign bearing-wear-line-1 G1, or sign below'),
    ok('1.2', 'KPI named', 'unplanned_downtime', null, 'h/month, target -30 %', 'usecases/bearing.yaml /kpi'),
    ok('1.3', 'value named', '4200 EUR/h', null, 'of unplanned downtime', 'usecases/bearing.yaml /value'),
    ok('1.4', 'baseline', 94, 90, '94 days, 97.1 % complete', "SELECT count(DISTINCT day) FROM history WHERE asset = 'pump-7'"),
    ok('1.5', 'who decides', 'technician', null, 'action and lead time are stated', 'usecases/bearing.yaml /decide'),
    no('1.6', 'completeness of motor current', 91.2, 95, '91.2 % of 95 %, gap on nights', "SELECT good / expected FROM completeness WHERE point = 'pump-7/motor_current'", 'see Data, Devices: the PLC was away from 02:00 to 02:20'),
    (labelled >= 30 ? ok : no)('1.7', 'labels', labelled, 30, `${labelled} of 30 labels`, "SELECT count(*) FROM labels WHERE class = 'bearing_wear'", 'confirm or override more alarms'),
    ok('1.8', 'guard', 0.2, 0.5, 'false alarms per technician and hour', 'SELECT * FROM kpi WHERE name = \'false_alarms\''),
    ok('1.9', 'model', 'pump-faults@3', null, 'runs on pump-7', 'SELECT * FROM models'),
    no('1.10', 'controls chosen', null, 2, 'no control assets in the site', 'usecases/bearing.yaml /plan/controls', 'name at least two machines of the same kind under plan: controls'),
  ];
  const hold = checks.filter((c) => c.state === 'ok').length;
  return { usecase: 'bearing-wear-line-1', gate: 'G1', title: 'idea to pilot', state: hold === checks.length ? 'open' : 'blocked', hold, of: checks.length, checks };
}

function chain(alarm) {
  const raised = Date.parse(alarm.raised);
  const steps = [
    { at: iso(raised - 30_000), stage: 'samples', text: 'vibration_de 184 samples, motor_current 120 (quality good, contract pump@1.2.0)', detail: { vibration_de: { samples: 184, bad: 0 }, motor_current: { samples: 120, bad: 0 } } },
    { at: iso(raised - 29_996), stage: 'features', text: 'rms 7.9 mm/s (normal 1.8..3.1), kurtosis 6.2 (2.7..3.4), slope +0.4/h', detail: { window: '20 min', rms: 7.9, kurtosis: 6.2 } },
    { at: iso(raised - 29_995), stage: 'model', text: `${alarm.model} p(${alarm.cause}) = ${alarm.confidence} [${alarm.confidence_low}, ${alarm.confidence_high}]`, detail: { digest: 'sha256:9f2c41d0', because: alarm.because } },
    { at: iso(raised), stage: 'alarm', text: 'active after 30 s; pushed to technician', detail: { state: alarm.state } },
  ];
  const v = alarm.verdict;
  if (v) {
    const at = Date.parse(v.at);
    const label = labels.find((l) => l.trace === alarm.trace);
    steps.push({ at: v.at, stage: 'verdict', text: `${v.kind.replace('_', ' ')}, code ${v.code}: "${v.note}"`, detail: v });
    if (label) steps.push({ at: iso(at + 3), stage: 'label', text: `${label.id} v1 -> training set pump-faults, next run`, detail: label });
    steps.push({ at: iso(at + 9), stage: 'kpi', text: `alarm_precision ${(verdicts.right / verdicts.of).toFixed(2)}, mttr 1.1 h (was 1.4)`, detail: {} });
  }
  const leaf = audit.find((a) => a.trace === alarm.trace)?.leaf;
  return { id: alarm.id, trace: alarm.trace, title: alarm.title, steps, audit: leaf === undefined ? null : { leaf, proof_ok: true } };
}

function giveVerdict(alarm, body, actor) {
  const at = iso(plantNow());
  const again = alarm.verdict !== null;
  record(actor, 'alarm.verdict', alarm.id, alarm.trace, body);
  if (!again) verdicts.of++;
  if (!again && body.kind === 'true_fault') {
    verdicts.right++;
    labels.push({ id: `L-${318 + labels.length}`, version: 1, thing: alarm.thing, from: alarm.raised, to: at, class: body.code, source: 'verdict', trace: alarm.trace });
    setTimeout(() => {
      repaired = plantNow();
      change(alarm, { state: 'normal', cleared_at: iso(repaired) });
    }, 20_000);
  }
  setTimeout(() => {
    tell('kpi', { changed: ['alarm_precision'] });
    tell('gate', { usecase: 'bearing-wear-line-1', gate: 'G1' });
  }, 150);
  const acked = isUnacked(alarm) ? { state: alarm.state === 'cleared_unacknowledged' ? 'normal' : 'active_acknowledged', acknowledged_at: at, acknowledged_by: actor } : {};
  return change(alarm, { ...acked, verdict: { ...body, actor, at } });
}

class Refusal extends Error {
  constructor(status, title, detail, fix) {
    super(title);
    Object.assign(this, { status, title, detail, fix });
  }
}
const list = (items) => ({ items, next: null });
const point = (p, spark) => {
  const now = plantNow();
  const shown = { ...p, middle: undefined, swing: undefined, slope: undefined };
  const bad = isBad(p);
  return { ...shown, value: valueAt(p, bad ? start - HOUR : now, wear), quality: bad ? 'BadSensorFailure' : 'Good', time: iso(now - 1000), ...(spark ? { spark: Array.from({ length: 48 }, (_, i) => (i === 17 || i === 18 ? null : Number(valueAt(p, now - 8 * HOUR + i * 600_000, wear)))) } : {}) };
};

// path pattern -> answer; `q` is the query, `b` the body, `u` the user, `m` the groups.
const GET = [
  [/^\/overview$/, () => overview()],
  [/^\/assets$/, () => list([
    { path: SITE, name: 'cologne', title: 'Cologne', thing: null, children: 1, state: 'unknown', active_alarms: 0, worst_priority: null },
    { path: `${SITE}/filling`, name: 'filling', title: 'Filling', thing: null, children: 1, state: 'unknown', active_alarms: 0, worst_priority: null },
    { path: LINE, name: 'line-1', title: 'Line 1', thing: null, children: 5, state: 'running', active_alarms: 2, worst_priority: 1 },
    ...things.map((t) => {
      const own = alarms.filter((a) => a.thing === t.name && a.state.startsWith('active'));
      return { path: t.asset, name: t.name, title: t.title, thing: t.name, children: 0, state: t.name === 'weather-1' ? 'unknown' : 'running', active_alarms: own.length, worst_priority: own.length ? Math.min(...own.map((a) => a.priority)) : null };
    })])],
  [/^\/things$/, () => list(things.map((t) => ({ ...t, points: points.filter((p) => p.thing === t.name).length })))],
  [/^\/things\/([^/]+)$/, ({ m }) => {
    const t = things.find((x) => x.name === m[1]);
    if (!t) throw new Refusal(404, 'Thing unknown', m[1], 'GET /api/v1/things lists them');
    const own = points.filter((p) => p.thing === t.name);
    return { ...t, points: own.length, point_list: own.map((p) => point(p)), document: { '@context': ['https://www.w3.org/2022/wot/td/v1.1', { ps: 'urn:penstock:v1#' }], id: t.id, title: t.title, 'ps:asset': t.asset, 'ps:model': t.model, securityDefinitions: { none: { scheme: 'nosec' } }, security: 'none', properties: Object.fromEntries(own.map((p) => [p.property, { type: p.type, unit: p.unit, minimum: p.minimum ?? undefined, maximum: p.maximum ?? undefined, readOnly: true }])) } };
  }],
  [/^\/points$/, ({ q }) => list(points.filter((p) => !q.get('thing') || p.thing === q.get('thing')).map((p) => point(p, q.get('spark'))))],
  [/^\/points\/([^/]+)\/([^/]+)\/trend$/, ({ m, q }) => {
    const p = points.find((x) => x.path === `${m[1]}/${m[2]}`);
    if (!p) throw new Refusal(404, 'Point unknown', `${m[1]}/${m[2]}`, 'GET /api/v1/points lists them');
    const [from, to, width] = [Date.parse(q.get('from')), Date.parse(q.get('to')), Number(q.get('width'))];
    return { path: p.path, unit: p.unit, from: iso(from), to: iso(to), width, ...(q.get('of') === 'rms' ? { of: 'rms' } : {}), normal_low: p.normal_low, normal_high: p.normal_high, points: trendRows(p, from, Math.min(to, plantNow()), width, start, wear) };
  }],
  [/^\/quarantine$/, () => list(Array.from({ length: 14 }, (_, i) => ({ id: i + 1, state: i < 3 ? 'open' : 'noted', releasable: i < 3, source_time: iso(plantNow()), samples: 1, contract: 'filler@1.0.0', at: iso(plantNow() - i * 11 * 60_000), source: i % 3 ? 'mqtt line-1/filler-1/state' : 'modbus 127.0.0.1:15020/1', point: i % 3 ? 'filler-1/rate' : 'pump-7/discharge_pressure', rule: i % 3 ? 'range' : 'rate_of_change', value: i % 3 ? 4096 : 15.9, message: i % 3 ? '4096 /min is above the maximum 600' : '9.7 bar in 1 s, at most 2 bar/s' })))],
  [/^\/products$/, () => list(products())],
  [/^\/products\/([^/]+)$/, ({ m }) => productDetail(m[1])],
  [/^\/access-requests$/, ({ q }) => list(requests.filter((r) => !q.get('product') || r.product === q.get('product')))],
  [/^\/contracts$/, () => list(products().map((p) => contractOf(p.name)))],
  [/^\/contracts\/([^/]+)$/, ({ m }) => ({ ...contractOf(m[1]), document: { apiVersion: 'v3.1.0', id: m[1] }, field_list: fieldsOf(m[1]).map((f) => ({ ...f, minimum: 0, maximum: 100, required: true, personal_data: [], freshness: '10min', rules: [{ metric: 'nullValues', name: 'no gaps', rule: 'mustBeLessThan 5 percent', per_sample: false }] })) })],
  [/^\/contracts\/([^/]+)\/versions$/, ({ m }) => list([{ version: '1.2.0', accepted_at: iso(start), digest: 'sha256:00', applied: [], changes: null }].filter(() => m[1]))],
  [/^\/contracts\/([^/]+)\/compliance$/, ({ m }) => ({ contract: `${m[1]}@1.2.0`, from: iso(plantNow() - 24 * HOUR), to: iso(plantNow()), points: 3, kept: false, promises: fieldsOf(m[1]).map((f, i) => ({ kind: 'freshness', name: 'freshness', point: f.points[0], promised: 600, measured: i === 0 ? 4000 : 1, unit: 's', state: i === 0 ? 'broken' : 'kept', severity: 'error' })), violations: [] })],
  [/^\/ledger$/, () => ({ produced: 1_804_512, stored: 1_804_492, forwarded: 0, evicted: 0, duplicates: 0, refused: 0, quarantined: 14, pending: 6, gap: 0 })],
  [/^\/devices$/, () => list(things.map((t, i) => ({ name: t.name, protocol: t.protocols[0], address: ['127.0.0.1:15020/1', 'opc.tcp://127.0.0.1:14840', 'line-1/filler-1', 'line-1/energy-meter-1', 'line-1/weather-1'][i], state: i === 4 ? 'retrying' : 'connected', since: iso(start - 2 * HOUR), last_seen: iso(plantNow() - 1000), samples: 90_000 + i * 1234, errors: i === 4 ? 3 : 0, last_error: i === 4 ? 'connection closed by the client: keep-alive exceeded' : null, restarts: 0 })))],
  [/^\/alarms$/, ({ q }) => list(alarms.filter((a) => (q.get('state') !== 'open' || a.state !== 'normal' || !a.verdict) && (!q.get('thing') || a.thing === q.get('thing'))).sort((a, b) => b.raised.localeCompare(a.raised)))],
  [/^\/alarms\/([^/]+)$/, ({ m }) => {
    const alarm = alarmOf(m[1]);
    alarm.seen_at ??= iso(plantNow());
    return alarm;
  }],
  [/^\/alarms\/([^/]+)\/explain$/, ({ m }) => chain(alarmOf(m[1]))],
  [/^\/traces\/([^/]+)$/, ({ m }) => {
    const alarm = alarms.find((a) => a.trace === m[1]);
    if (!alarm) throw new Refusal(404, 'Trace unknown', m[1], 'Open it from its alarm; decisions are kept for 2 years');
    return chain(alarm);
  }],
  [/^\/labels$/, () => list(labels)],
  [/^\/models$/, () => list([
    ['pump-faults', 3, 'tree_ensemble', ['normal', 'bearing_wear', 'cavitation', 'seal_leak'], ['pump-7']],
    ['gearbox-faults', 1, 'tree_ensemble', ['normal', 'misalignment', 'bearing_wear'], ['gearbox-2']],
    ['filler-faults', 2, 'tree_ensemble', ['normal', 'clogged_nozzle'], ['filler-1']],
    ['half-space', 1, 'detector', [], ['pump-7', 'gearbox-2', 'filler-1', 'energy-meter-1']],
  ].map(([name, version, kind, classes, on]) => ({ name, version, digest: `sha256:${hex(name).toString('hex')}`, kind, classes, features: ['vibration_de.rms', 'vibration_de.kurtosis', 'motor_current.mean'], trained_at: kind === 'detector' ? null : iso(start - 30 * HOUR), rows: kind === 'detector' ? null : 18_420, metrics: kind === 'detector' ? {} : { accuracy: 0.981, macro_f1: 0.957 }, on, predictions: 5_120, latency_us_p50: 3.1, latency_us_p99: 9.4 })))],
  [/^\/kpis$/, ({ q }) => list(kpis().filter((k) => !q.get('asset') || k.asset === q.get('asset')))],
  [/^\/kpis\/([^/]+)\/events$/, () => list(alarms.filter((a) => a.verdict).map((a) => ({ at: a.verdict.at, alarm: a.id, kind: a.verdict.kind, code: a.verdict.code, actor: a.verdict.actor })))],
  [/^\/states$/, () => list([['running', 4.2, 8], ['down', 3.6, 4.2], ['running', 2.1, 3.6], ['planned', 1.7, 2.1], ['running', 0, 1.7]].map(([state, to, from]) => ({ from: iso(plantNow() - from * HOUR), to: to ? iso(plantNow() - to * HOUR) : null, state, reason: state === 'down' ? 'seal_leak repaired' : state === 'planned' ? 'change-over' : '' })))],
  [/^\/usecases$/, () => { const g = gate(); return list([{ name: g.usecase, title: 'bearing wear', sponsor: 'plant-manager', kpi: { primary: 'unplanned_downtime', unit: 'h/month', target: '-30 %' }, value: { unplanned_downtime: '4200 EUR/h' }, gates: [{ name: 'G1', title: g.title, hold: g.hold, of: g.of, open: g.state === 'open' }] }]); }],
  [/^\/usecases\/[^/]+\/gates\/G1$/, () => gate()],
  [/^\/audit$/, () => list([...audit].reverse())],
  [/^\/audit\/root$/, () => ({ size: audit.length, root: tree(audit.map(leafHash)).toString('hex') })],
  [/^\/audit\/(\d+)\/proof$/, ({ m }) => {
    const hashes = audit.map(leafHash);
    return { leaf: Number(m[1]), size: hashes.length, root: tree(hashes).toString('hex'), leaf_hash: hashes[m[1]].toString('hex'), path: pathOf(Number(m[1]), hashes).map((h) => h.toString('hex')) };
  }],
  [/^\/users$/, () => list(users.map(({ name, role }) => ({ name, role })))],
  [/^\/tokens$/, () => list(tokens)],
];

// Data products: one per kind of thing; the weather's is on request.
const requests = [{ id: 1, product: 'weather', principal: 'token:forecast', purpose: 'forecast of the cooling load', personal: false, asked: iso(start - HOUR), state: 'open', decided_by: null, note: '', decided: null, expires: null, may_decide: true }];
const kindOf = (thing) => thing.model.split('@')[0];
const products = () => things.map((t) => ({ name: kindOf(t), title: t.title, domain: 'filling', owner: 'plant-manager', team: 'line 1', description: `What ${t.title} measures.`, contracts: [{ id: kindOf(t), version: '1.2.0', status: 'active' }], models: [t.model], classification: 'internal', access: t.name === 'weather-1' ? 'request' : 'open', may_read: true, personal: true, owned: true, retention_s: 7_776_000, promised_freshness_s: 600, freshness_s: t.name === 'weather-1' ? 4000 : 0.4, first: iso(start - 200 * HOUR), last: iso(plantNow()), rows: 18_000_000, bytes: 34_000_000, files: 12, points: points.filter((p) => p.thing === t.name).length, things: [t.name] }));
const productOf = (name) => {
  const found = products().find((p) => p.name === name);
  if (!found) throw new Refusal(404, 'Data product unknown', name, 'GET /api/v1/products lists them');
  return found;
};
const fieldsOf = (name) => points.filter((p) => productOf(name).things.includes(p.thing)).map((p) => ({ name: p.property, kind: name, title: p.title, description: '', unit: p.unit, type: p.type, sample_rate_hz: p.sample_rate_hz ?? null, classification: 'internal', withheld: false, points: [p.path] }));
const productDetail = (name) => ({ ...productOf(name), fields: fieldsOf(name), readers: [], sample: fieldsOf(name).map((f) => ({ point: f.points[0], time: iso(plantNow()), value: 6.2, quality: 'Good' })), deleted: null, my_request: null });
const contractOf = (id) => ({ id, version: '1.2.0', name: productOf(id).title, status: 'active', domain: 'filling', purpose: '', team: 'line 1', owner: 'plant-manager', thing_model: productOf(id).model, classification: 'internal', file: `contracts/${id}.odcs.yaml`, fields: fieldsOf(id).length, points: fieldsOf(id).length });
function decide(id, change) {
  const found = requests.find((r) => r.id === Number(id));
  if (!found) throw new Refusal(404, 'No such request', id, '');
  return Object.assign(found, change);
}

function alarmOf(id) {
  const alarm = alarms.find((a) => a.id === id);
  if (!alarm) throw new Refusal(404, 'Alarm unknown', id, 'GET /api/v1/alarms?state=all lists every alarm');
  return alarm;
}

const POST = [
  [/^\/products\/([^/]+)\/access-requests$/, ({ m, b, u }) => (requests.push({ ...requests[0], id: requests.length + 1, product: m[1], principal: u.name, purpose: b.purpose, state: 'open' }), requests.at(-1))],
  [/^\/access-requests\/(\d+)\/grant$/, ({ m, u }) => decide(m[1], { state: 'granted', decided_by: u.name, expires: iso(plantNow() + 90 * 24 * HOUR) })],
  [/^\/access-requests\/(\d+)\/deny$/, ({ m, u }) => decide(m[1], { state: 'denied', decided_by: u.name })],
  [/^\/sql$/, ({ b }) => {
    const wrong = /FROM\s+(?!")(\w+)s\b/.exec(b.sql);
    if (wrong) throw new Refusal(404, 'Not found', `line 1, column ${wrong.index + 6}: no such table: ${wrong[1]}s`, `did you mean "${wrong[1]}"?`);
    return { columns: [{ name: 'point', type: 'text' }, { name: 'samples', type: 'integer' }, { name: 'mean', type: 'double' }, { name: 'newest', type: 'timestamp' }], rows: points.slice(0, 12).map((p, i) => [p.path, 1000 + i, 6.25 + i, iso(plantNow())]), row_count: 12, truncated: false, elapsed_ms: 31.4 };
  }],
  [/^\/alarms\/([^/]+)\/acknowledge$/, ({ m, u }) => change(alarmOf(m[1]), { state: 'active_acknowledged', acknowledged_at: iso(plantNow()), acknowledged_by: u.name })],
  [/^\/alarms\/([^/]+)\/shelve$/, ({ m, b }) => change(alarmOf(m[1]), { state: 'shelved', shelved_until: iso(plantNow() + parseInt(b.for, 10) * HOUR) })],
  [/^\/alarms\/([^/]+)\/unshelve$/, ({ m }) => change(alarmOf(m[1]), { state: 'active_acknowledged', shelved_until: null })],
  [/^\/alarms\/([^/]+)\/verdict$/, ({ m, b, u }) => giveVerdict(alarmOf(m[1]), b, u.name)],
  [/^\/usecases\/[^/]+\/gates\/G1\/sign$/, ({ b, u }) => {
    signed = true;
    record(u.name, 'gate.sign', 'bearing-wear-line-1/G1', '', b);
    tell('gate', { usecase: 'bearing-wear-line-1', gate: 'G1' });
    return gate();
  }],
  [/^\/users$/, ({ b }) => {
    if (b.password.length < 8) throw new Refusal(400, 'Password too short', `${b.password.length} characters`, 'Use at least 8');
    users.push(b);
    return { name: b.name, role: b.role };
  }],
  [/^\/tokens$/, ({ b }) => (tokens.push({ ...b, created: iso(plantNow()) }), { ...b, secret: randomBytes(20).toString('hex') })],
];
const DELETE = [
  [/^\/users\/([^/]+)$/, ({ m }) => void (users = users.filter((u) => u.name !== m[1]))],
  [/^\/tokens\/([^/]+)$/, ({ m }) => void tokens.splice(tokens.findIndex((t) => t.name === m[1]), 1)],
];

const CSP = "default-src 'self'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'";
const MIME = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };

function sendJson(response, status, body, headers = {}) {
  response.writeHead(status, { 'Content-Type': status >= 400 ? 'application/problem+json' : 'application/json', ...headers });
  response.end(body === undefined ? '' : JSON.stringify(body));
}

function enter(response, user) {
  const id = randomBytes(16).toString('hex');
  sessions.set(id, user);
  sendJson(response, 201, { user: { name: user.name, role: user.role } }, { 'Set-Cookie': `penstock=${id}; HttpOnly; SameSite=Strict; Path=/` });
}

function stream(request, response) {
  response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
  response.write(': hello\n\n');
  streams.add(response);
  request.on('close', () => streams.delete(response));
}

setInterval(() => {
  const now = plantNow();
  const values = Object.fromEntries(points.filter((p) => !isBad(p)).map((p) => [p.path, [valueAt(p, now, wear), 'Good', now]]));
  tell('values', { time: iso(now), values });
}, 500);
setInterval(() => tell('overview', overview()), 2000);

function answer(request, response, path, query, body) {
  const user = sessions.get(/penstock=([0-9a-f]+)/.exec(request.headers.cookie ?? '')?.[1]);
  if (path === '/session' && request.method === 'GET')
    return sendJson(response, 200, { setup_needed: users.length === 0, user: user ? { name: user.name, role: user.role } : null, time: iso(plantNow()), speed, site: SITE, node: 'cologne-1', version: '0.1.0' });
  if (request.method !== 'GET' && request.headers['x-penstock-csrf'] !== '1') throw new Refusal(403, 'The CSRF header is missing', '', 'Send X-Penstock-CSRF: 1');
  if (path === '/session/setup') {
    if (body.token !== setupToken) throw new Refusal(403, 'The set-up token is wrong', '', 'Copy it from the lines that the node printed at its start');
    if (body.password.length < 8) throw new Refusal(400, 'The password is too short', `${body.password.length} characters`, 'Use at least 8');
    users.push({ name: body.name, role: 'admin', password: body.password });
    return enter(response, users.at(-1));
  }
  if (path === '/session' && request.method === 'POST') {
    const known = users.find((u) => u.name === body.name && u.password === body.password);
    if (!known) throw new Refusal(401, 'Name or password is wrong', '', 'Try again, or ask an administrator for a new password');
    return enter(response, known);
  }
  if (path === '/session' && request.method === 'DELETE') {
    for (const [id, u] of sessions) if (u === user) sessions.delete(id);
    return sendJson(response, 204);
  }
  if (!user) throw new Refusal(401, 'Not signed in', '', 'POST /api/v1/session');
  if (path === '/live') return stream(request, response);
  const routes = { GET, POST, DELETE }[request.method] ?? [];
  for (const [pattern, act] of routes) {
    const m = pattern.exec(path);
    if (!m) continue;
    const result = act({ m: m.map((g) => decodeURIComponent(g ?? '')), q: query, b: body, u: user });
    return sendJson(response, result === undefined ? 204 : 200, result);
  }
  throw new Refusal(404, 'No such resource', path, '');
}

function file(response, path) {
  let target = join(DIST, normalize(path));
  if (!target.startsWith(DIST) || !existsSync(target) || statSync(target).isDirectory()) target = join(DIST, 'index.html');
  response.writeHead(200, { 'Content-Type': MIME[extname(target)] ?? 'application/octet-stream', 'Content-Security-Policy': CSP });
  response.end(readFileSync(target));
}

const server = createServer((request, response) => {
  const url = new URL(request.url, 'http://x');
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', () => {
    if (!url.pathname.startsWith('/api/v1')) return file(response, url.pathname);
    try {
      const text = Buffer.concat(parts).toString();
      answer(request, response, url.pathname.slice('/api/v1'.length), url.searchParams, text ? JSON.parse(text) : {});
    } catch (error) {
      const known = error instanceof Refusal;
      if (!known) console.error(error);
      sendJson(response, known ? error.status : 500, { type: 'about:blank', title: known ? error.title : 'The fake node failed', status: known ? error.status : 500, detail: known ? error.detail : String(error), fix: known ? error.fix : undefined });
    }
  });
});
server.listen(option('--port', 8098), '127.0.0.1', () => {
  console.log(JSON.stringify({ url: `http://127.0.0.1:${server.address().port}`, setup_token: users.length === 0 ? setupToken : null, site: SITE }));
});
process.on('SIGTERM', () => process.exit(0));
process.on('SIGINT', () => process.exit(0));
