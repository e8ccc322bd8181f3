// An alarm to start from; tests change what they are about.
import type { Alarm, Point } from './api';

export function anAlarm(change: Partial<Alarm> = {}): Alarm {
  return {
    id: 'A-1042', trace: '4bf92f35', thing: 'pump-7', asset: 'acme/cologne/filling/line-1/pump-7', asset_title: 'Pump 7', cause: 'bearing_wear',
    title: 'Bearing wear on Pump 7', consequence: 'seizure within 4 to 9 days', response: 'plan replacement', respond_within_s: 28800, priority: 1,
    state: 'active_unacknowledged', raised: '2026-05-12T12:02:00.000000Z', last_change: '2026-05-12T12:02:00.000000Z', acknowledged_at: null,
    acknowledged_by: null, cleared_at: null, shelved_until: null, seen_at: null, confidence: 0.93, confidence_low: 0.86, confidence_high: 0.97,
    model: 'pump-faults@3', because: [], track_record: null, verdict: null, ...change,
  };
}

export function aPoint(change: Partial<Point> = {}): Point {
  return {
    id: 1, path: 'pump-7/flow', thing: 'pump-7', property: 'flow', title: 'Flow', asset: 'acme/cologne/filling/line-1/pump-7', unit: 'm3/h', type: 'number',
    minimum: 0, maximum: 100, value: 42, quality: 'Good', time: '2026-05-12T12:02:00.000000Z', normal_low: 37, normal_high: 47, sample_rate_hz: 0, ...change,
  };
}
