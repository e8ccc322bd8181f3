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

export interface Gauge {
  low: number; // Normal band and marker as shares of the scale, 0 to 100.
  high: number;
  at: number | null;
}

// The scale is the normal band with room on both sides, within the point's own limits; a value beyond sits at the end.
export function gauge(point: Pick<Point, 'minimum' | 'maximum' | 'normal_low' | 'normal_high'>, value: unknown): Gauge | null {
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

// The few points of a machine's card, always in the order of the thing, so that nothing jumps: those that an alarm
// names come in first, then numbers with a normal band, then other numbers; switches and counters are for the page.
export function pickPoints(points: readonly Point[], named: ReadonlySet<string>, limit: number): Point[] {
  const weight = (point: Point): number => {
    if (named.has(point.property)) return 0;
    if (point.type === 'boolean' || point.type === 'string') return 4;
    if (/_count$|^energy$|^product$/.test(point.property)) return 3;
    if (isWaveform(point)) return 1;
    return point.normal_low !== null || point.normal_high !== null ? 1 : 2;
  };
  const ranked = points.map((point, index) => ({ point, index, weight: weight(point) }));
  const chosen = ranked.sort((a, b) => a.weight - b.weight || a.index - b.index).slice(0, limit);
  return chosen.sort((a, b) => Number(isWaveform(b.point)) - Number(isWaveform(a.point)) || a.index - b.index).map((c) => c.point);
}
