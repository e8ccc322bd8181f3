// The fake node's bottling line: every point is a function of plant time, so that any window of any trend can be
// answered without storing a sample. Only for development and tests of the console; nothing of it is shipped.

const SITE = 'acme/cologne';
const LINE = `${SITE}/filling/line-1`;
export const HOUR = 3_600_000;

export const things = [
  { name: 'pump-7', title: 'Pump 7', model: 'pump@1.2', protocols: ['modbus', 'mqtt'] },
  { name: 'gearbox-2', title: 'Gearbox drive', model: 'gearbox@1.0', protocols: ['opcua'] },
  { name: 'filler-1', title: 'Filler', model: 'filler@1.0', protocols: ['mqtt'] },
  { name: 'energy-meter-1', title: 'Energy meter', model: 'energy-meter@1.0', protocols: ['mqtt'] },
  { name: 'weather-1', title: 'Weather', model: 'weather@1.0', protocols: ['mqtt'] },
].map((thing) => ({ ...thing, asset: `${LINE}/${thing.name}`, id: `urn:dev:acme:${thing.name}`, file: `things/${thing.name}.td.json` }));

// property, unit, middle, swing, minimum, maximum, normal low, normal high
const NUMBERS = {
  'pump-7': [
    ['discharge_pressure', 'bar', 6.2, 0.3, 0, 16, 5.7, 6.8],
    ['suction_pressure', 'bar', 1.4, 0.1, 0, 4, 1.2, 1.7],
    ['flow', 'm3/h', 42, 2, 0, 100, 37, 47],
    ['motor_current', 'A', 18.4, 0.9, 0, 40, 16.5, 20.5],
    ['motor_speed', '/min', 2910, 8, 0, 3600, 2890, 2930],
    ['bearing_temperature', 'Cel', 58, 1.6, -20, 150, 52, 64],
    ['seal_pot_level', '%', 71, 1.2, 0, 100, 60, 82],
  ],
  'gearbox-2': [
    ['torque', 'N.m', 118, 5, 0, 400, 105, 131],
    ['speed', '/min', 1480, 6, 0, 2000, 1465, 1495],
    ['oil_temperature', 'Cel', 54, 2, -20, 120, 46, 61],
    ['slip', '%', 1.2, 0.15, 0, 20, 0.8, 1.7],
  ],
  'filler-1': [
    ['rate', '/min', 312, 7, 0, 600, 290, 330],
    ['bowl_level', '%', 62, 3, 0, 100, 52, 71],
    ...[1, 2, 3, 4, 5, 6, 7, 8].map((n) => [`nozzle_${n}_pressure`, 'bar', n === 4 ? 0.74 : 0.92, 0.03, 0, 3, 0.83, 1.02]),
  ],
  'energy-meter-1': [
    ['active_power', 'kW', 46, 4, 0, 200, 36, 56],
    ['power_factor', '1', 0.91, 0.02, 0, 1, 0.86, 0.96],
  ],
  'weather-1': [
    ['ambient_temperature', 'Cel', 17, 5, -40, 60, null, null],
    ['humidity', '%', 58, 12, 0, 100, null, null],
  ],
};
const WAVES = { 'pump-7': [['vibration_de', 'mm/s', 2.4, 0.35, 0, 50, 1.8, 3.1]], 'gearbox-2': [['vibration', 'mm/s', 1.9, 0.25, 0, 50, 1.4, 2.5]] };
const COUNTERS = { 'filler-1': [['good_count', '1', 5.2], ['reject_count', '1', 0.06]], 'energy-meter-1': [['energy', 'kW.h', 0.0128]] };
const SWITCHES = { 'pump-7': ['running'], 'gearbox-2': ['running'], 'filler-1': ['running'] };

const title = (property) => {
  const text = property.replaceAll('_', ' ');
  return text[0].toUpperCase() + text.slice(1);
};

export const points = [];
for (const thing of things) {
  const add = (property, rest) => points.push({ id: points.length + 1, path: `${thing.name}/${property}`, thing: thing.name, property, title: title(property), asset: thing.asset, sample_rate_hz: 0, ...rest });
  for (const [p, unit, middle, swing, minimum, maximum, normal_low, normal_high] of NUMBERS[thing.name] ?? [])
    add(p, { unit, type: 'number', minimum, maximum, normal_low, normal_high, middle, swing });
  for (const [p, unit, middle, swing, minimum, maximum, normal_low, normal_high] of WAVES[thing.name] ?? [])
    add(p, { unit, type: 'waveform', sample_rate_hz: 2048, minimum, maximum, normal_low, normal_high, middle, swing });
  for (const [p, unit, slope] of COUNTERS[thing.name] ?? []) add(p, { unit, type: p === 'energy' ? 'number' : 'integer', minimum: 0, maximum: null, normal_low: null, normal_high: null, slope });
  if (thing.name === 'filler-1') add('product', { unit: '1', type: 'integer', minimum: 1, maximum: 3, normal_low: null, normal_high: null });
  for (const p of SWITCHES[thing.name] ?? []) add(p, { unit: '', type: 'boolean', minimum: null, maximum: null, normal_low: null, normal_high: null });
}

// Noise without memory: the same time gives the same value.
function noise(seed, t) {
  const x = Math.sin(seed * 127.1 + t * 311.7) * 43758.5453;
  return (x - Math.floor(x)) * 2 - 1;
}
const smooth = (seed, t) => {
  const i = Math.floor(t);
  const f = t - i;
  const w = f * f * (3 - 2 * f);
  return noise(seed, i) * (1 - w) + noise(seed, i + 1) * w;
};

export function valueAt(point, t, wear) {
  if (point.type === 'boolean') return true;
  if (point.property === 'product') return 1 + (Math.floor(t / (3 * HOUR)) % 3);
  if (point.slope) return Math.floor(((t % (24 * HOUR)) / 1000) * point.slope);
  const slow = smooth(point.id, t / (40 * 60_000)) * 0.6 + smooth(point.id + 50, t / (9 * 60_000)) * 0.3 + noise(point.id, Math.floor(t / 60_000)) * 0.15;
  let value = point.middle + slow * point.swing;
  if (point.path === 'pump-7/vibration_de') value += wear(t) * 5.4;
  if (point.path === 'pump-7/bearing_temperature') value += wear(t) * 8;
  if (point.path === 'pump-7/motor_current') value += wear(t) * 0.9;
  return value;
}

// The plant was off the network for a while, and the energy meter hangs.
export const gapAt = (start) => (t) => t > start - 5.2 * HOUR && t < start - 4.85 * HOUR;
export const isBad = (point) => point.thing === 'energy-meter-1' && point.property !== 'energy';

export function trendRows(point, from, to, width, start, wear) {
  const bucket = (to - from) / width;
  const step = Math.max(point.property === 'product' ? 600_000 : 120_000, bucket);
  const inGap = gapAt(start);
  const rows = [];
  for (let t = Math.ceil(from / step) * step; t < to; t += step) {
    if (inGap(t)) continue;
    const values = [0, 0.25, 0.5, 0.75].map((f) => valueAt(point, t + f * Math.min(step, bucket), wear));
    const numbers = values.map(Number);
    const bad = isBad(point) && t > start - HOUR ? 1 : 0;
    rows.push(bad ? [t, null, null, null, null, 4, 4] : [t, numbers[0], Math.min(...numbers), Math.max(...numbers), numbers[3], 4, 0]);
  }
  return rows;
}

export { SITE, LINE };
