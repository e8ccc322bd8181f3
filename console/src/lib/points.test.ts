import { describe, expect, it } from 'vitest';
import { anAlarm, aPoint } from '../test_data';
import { blamed, evidencePoint, featureText, gauge, isCounter, isWaveform, pickPoints, pointLabel, propertyOf, qualityText, rateBand, rateUnit, standing, tellsState, wordOf } from './points';

const because = (feature: string, contribution: number) => ({ feature, value: 1, unit: '1', normal_low: null, normal_high: null, contribution });

describe('normal band', () => {
  it('says where a value stands', () => {
    expect(standing(42, 37, 47)).toBe('normal');
    expect(standing(50, 37, 47)).toBe('above');
    expect(standing(30, 37, 47)).toBe('below');
    expect(standing(30, null, null)).toBe('unknown');
    expect(standing(null, 37, 47)).toBe('unknown');
  });
  it('sits in the middle of the gauge, and a value far out sits at its end', () => {
    const scale = gauge(aPoint(), 99);
    expect(scale).not.toBeNull();
    expect(((scale?.low ?? 0) + (scale?.high ?? 0)) / 2).toBeCloseTo(50);
    expect(scale?.at).toBe(97);
  });
  it('needs a band or limits', () => {
    const none = { normal_low: null, normal_high: null, minimum: null, maximum: null };
    expect(gauge(aPoint(none), 1)).toBeNull();
    expect(gauge(aPoint({ ...none, minimum: 0, maximum: 10 }), 5)).toEqual({ low: 0, high: 0, at: 50 });
    expect(gauge(aPoint(), null)?.at).toBeNull();
  });
});

describe('words', () => {
  it('stand for the values that the description names', () => {
    const valve = aPoint({ type: 'boolean', words: [[0, 'closed'], [1, 'open']] });
    expect(wordOf(valve, 1)).toBe('open');
    expect(wordOf(valve, false)).toBe('closed');
    expect(wordOf(aPoint({ type: 'integer', words: [[3, 'cleaning']] }), 4)).toBeNull();
    expect(wordOf(aPoint(), 1)).toBeNull();
  });
});

describe('names', () => {
  it('lead from a feature to its point', () => {
    expect(propertyOf('vibration_de.rms')).toBe('vibration_de');
    expect(propertyOf('vibration_de.band(120..180Hz)')).toBe('vibration_de');
    expect(featureText('vibration_de.rms')).toBe('vibration DE RMS');
    expect(featureText('vibration_de.band(120..180Hz)')).toBe('vibration DE band 120..180 Hz');
  });
  it('say that a waveform shows its RMS', () => {
    const wave = aPoint({ property: 'vibration_de', type: 'waveform', sample_rate_hz: 2048 });
    expect(isWaveform(wave)).toBe(true);
    expect(pointLabel(wave)).toBe('vibration DE RMS');
  });
  it('put quality into words', () => {
    expect(qualityText('Good')).toBe('good');
    expect(qualityText('Bad_NoCommunication')).toBe('bad: no communication');
    expect(qualityText(null)).toBe('no value yet');
    expect(qualityText('BadSensorFailure')).toBe('bad: sensor failure');
    expect(qualityText('UncertainLastUsableValue')).toBe('uncertain: last usable value');
  });
});

describe('a machine card', () => {
  const points = ['flow', 'running', 'good_count', 'motor_current', 'seal_pot_level'].map((property, id) =>
    aPoint({ id, property, path: `pump-7/${property}`, type: property === 'running' ? 'boolean' : 'number' }),
  );
  it('shows measured values before switches and counters, in their own order', () => {
    expect(pickPoints(points, new Set(), 3).map((p) => p.property)).toEqual(['flow', 'motor_current', 'seal_pot_level']);
  });
  it('always shows what an alarm names, but no counter', () => {
    const named = blamed(anAlarm({ because: [because('good_count.slope', 3), because('seal_pot_level.mean', 2)] }));
    expect(pickPoints(points, named, 2).map((p) => p.property)).toEqual(['flow', 'seal_pot_level']);
    expect(pickPoints(points, new Set(['motor_current', 'flow']), 1).map((p) => p.property)).toEqual(['motor_current']);
  });
  it('does not blame what speaks against the cause', () => {
    expect(blamed(anAlarm({ because: [because('flow.mean', -2)] })).size).toBe(0);
  });
  it('says a state only where a point tells one', () => {
    expect(tellsState(points)).toBe(true);
    expect(tellsState([aPoint({ property: 'humidity' })])).toBe(false);
  });
});

describe('evidence', () => {
  const points = ['reject_count', 'flow', 'motor_current'].map((property) => aPoint({ property }));
  const alarm = (...reasons: [string, number][]) => anAlarm({ because: reasons.map(([feature, amount]) => because(feature, amount)) });
  it('is the strongest reason, rather a measured value than a counter', () => {
    expect(evidencePoint(points, [alarm(['reject_count.slope', 9], ['flow.mean', 1], ['motor_current.mean', 0.5])])?.property).toBe('flow');
    expect(evidencePoint(points, [alarm(['reject_count.slope', 9], ['flow.mean', -1])])?.property).toBe('reject_count');
  });
  it('comes from the next alarm when the first names nothing that is there', () => {
    expect(evidencePoint(points, [alarm(['gone.mean', 2]), alarm(['motor_current.mean', 1])])?.property).toBe('motor_current');
    expect(evidencePoint(points, [])).toBeNull();
  });
  it('has the band of a rate from the model that looked at the slope', () => {
    const slope = { ...because('reject_count.slope', 9), unit: '/h', normal_low: 44, normal_high: 161 };
    expect(rateBand([anAlarm({ because: [slope] })], 'reject_count')).toEqual({ low: 44, high: 161 });
    expect(rateBand([anAlarm({ because: [slope] })], 'good_count')).toBeNull();
  });
  it('counts per hour what is counted, and energy as power', () => {
    expect(['reject_count', 'energy', 'counter', 'bowl_level', 'discount'].map(isCounter)).toEqual([true, true, true, false, false]);
    expect(['', '1', 'kW.h', 'm3'].map(rateUnit)).toEqual(['/h', '/h', 'kW', 'm3/h']);
  });
});
