// What a point's value means on the screen: its place in the normal band, its quality in words, which points to show.
import type { Alarm, Contribution, Point } from '../api';
import { words } from './format';

export type Standing = 'normal' | 'above' | 'below' | 'unknown';

export function isWaveform(point: Pick<Point, 'type' | 'sample_rate_hz'>): boolean {
  return point.type === 'waveform' || point.type === 'array' || (point.sample_rate_hz ?? 0) >= 100;
}

export function isGood(quality: string | null): boolean {
  return quality?.startsWith('Good') ?? false;
}

// "BadSensorFailure" -> "bad: sensor failure"; "UncertainLastUsableValue" -> "uncertain: last usable value".
export function qualityText(quality: string | null): string {
  if (quality === null) return 'no value yet';
  const match = /^(Good|Bad|Uncertain)(.*)$/.exec(quality);
  if (!match) return quality === '' ? 'no quality' : words(quality).toLowerCase();
  const [, level = '', rest = ''] = match;
  const detail = rest.replace(/[_:]/g, ' ').replace(/([a-z])([A-Z])/g, '$1 $2').trim().toLowerCase();
  return detail === '' ? level.toLowerCase() : `${level.toLowerCase()}: ${detail}`;
}

export function standing(value: unknown, low: number | null, high: number | null): Standing {
  if (typeof value !== 'number' || (low === null && high === null)) return 'unknown';
  if (high !== null && value > high) return 'above';
  if (low !== null && value < low) return 'below';
  return 'normal';
}

// What the point's description calls this value, or null.
export function wordOf(point: Pick<Point, 'words'>, value: unknown): string | null {
  const number = typeof value === 'boolean' ? Number(value) : value;
  return point.words?.find(([named]) => named === number)?.[1] ?? null;
}

export interface Gauge {
  low: number; // Normal band and marker as shares of the scale, 0 to 100.
  high: number;
  at: number | null;
}

// The scale is the normal band with room on both sides, within the point's own limits; a value beyond sits at the end.
export function gauge(point: Pick<Point, 'type' | 'minimum' | 'maximum' | 'normal_low' | 'normal_high'>, value: unknown): Gauge | null {
  if (point.type === 'boolean' || point.type === 'string') return null;
  const { minimum, maximum, normal_low: low, normal_high: high } = point;
  let from: number;
  let to: number;
  if (low !== null && high !== null && high > low) {
    const room = (high - low) * 1.3;
    from = Math.max(low - room, minimum ?? -Infinity);
    to = Math.min(high + room, maximum ?? Infinity);
  } else if (minimum !== null && maximum !== null && maximum > minimum) {
    from = minimum;
    to = maximum;
  } else {
    return null;
  }
  if (!(to > from)) return null;
  const share = (v: number) => Math.min(100, Math.max(0, ((v - from) / (to - from)) * 100));
  const at = typeof value === 'number' && Number.isFinite(value) ? Math.min(97, Math.max(1, share(value))) : null;
  return { low: low === null ? 0 : share(low), high: high === null ? 0 : share(high), at };
}

// What only ever grows: pieces, energy.
export function isCounter(property: string): boolean {
  return /(^|_)(count|counter|total|energy)$/.test(property);
}

// "kW.h" counted is "kW", pieces counted are "/h".
export function rateUnit(unit: string): string {
  if (unit === 'kW.h') return 'kW';
  return unit === '' || unit === '1' ? '/h' : `${unit}/h`;
}

// The normal band of a counter's rate, if an alarm's model has looked at its slope.
export function rateBand(alarms: readonly Alarm[], property: string): { low: number; high: number } | null {
  for (const { because } of alarms) {
    const slope = because.find((c) => c.feature === `${property}.slope` && c.unit === '/h');
    if (slope && slope.normal_low !== null && slope.normal_high !== null) return { low: slope.normal_low, high: slope.normal_high };
  }
  return null;
}

// "vibration_de.rms" -> "vibration_de": features are named after their point.
export function propertyOf(feature: string): string {
  return /^[A-Za-z0-9_-]+/.exec(feature)?.[0] ?? feature;
}

// "vibration_de.band(120..180Hz)" -> "vibration DE band 120..180 Hz" for people.
export function featureText(feature: string): string {
  const text = words(feature.replace(/[.:/]([a-z])/, ' $1').replace(/\(([^)]*)\)/, ' $1'))
    .replace(/(\d)Hz/, '$1 Hz')
    .replace(/\brms\b/i, 'RMS');
  return shortName(text);
}

export function shortName(text: string): string {
  return text.replace(/\bde\b/, 'DE').replace(/\bnde\b/, 'NDE').replace(/\btemperature\b/i, 'temp');
}

export function pointLabel(point: Pick<Point, 'title' | 'property' | 'type' | 'sample_rate_hz'>): string {
  const name = shortName(words(point.property));
  return isWaveform(point) ? `${name} RMS` : name;
}

// Points an alarm points at, by property.
export function blamed(alarm: Pick<Alarm, 'because'>): Set<string> {
  return new Set(alarm.because.slice(0, 3).filter((c: Contribution) => c.contribution > 0).map((c) => propertyOf(c.feature)));
}

// The point that shows best what is wrong: of the first of these alarms that names one, the strongest reason that is
// not a counter, else the strongest.
export function evidencePoint<P extends Pick<Point, 'thing' | 'property'>>(points: readonly P[], alarms: readonly Alarm[]): P | null {
  for (const alarm of alarms) {
    const named = [...blamed(alarm)].flatMap((name) => points.find((p) => p.thing === alarm.thing && p.property === name) ?? []);
    const best = named.find((p) => !isCounter(p.property)) ?? named[0];
    if (best) return best;
  }
  return null;
}

// Whether a thing has a point that tells what state its machine is in; a weather station has none.
export function tellsState(points: readonly Pick<Point, 'property' | 'type'>[]): boolean {
  return points.some((p) => p.type === 'boolean' || /(^|_)(state|running)$/.test(p.property));
}

// The few points of a machine's card, always in the order of the thing, so that nothing jumps: those that an alarm
// names come in first, the strongest reason before all, then numbers with a normal band, then other numbers; switches
// and counters are for the machine's own page.
export function pickPoints(points: readonly Point[], named: ReadonlySet<string>, limit: number): Point[] {
  const order = [...named];
  const weight = (point: Point): number => {
    if (isCounter(point.property)) return 3;
    if (named.has(point.property)) return order.indexOf(point.property) / (order.length + 1);
    if (point.type === 'boolean' || point.type === 'string') return 4;
    if (point.property === 'product') return 3;
    if (isWaveform(point)) return 1;
    return point.normal_low !== null || point.normal_high !== null ? 1 : 2;
  };
  const ranked = points.map((point, index) => ({ point, index, weight: weight(point) }));
  const chosen = ranked.sort((a, b) => a.weight - b.weight || a.index - b.index).slice(0, limit);
  return chosen.sort((a, b) => Number(isWaveform(b.point)) - Number(isWaveform(a.point)) || a.index - b.index).map((c) => c.point);
}
