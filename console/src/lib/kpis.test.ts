import { describe, expect, it } from 'vitest';
import type { Kpi } from '../api';
import { headline, intervalText, kpiText, periodLabel, widest } from './kpis';

function aKpi(change: Partial<Kpi> = {}): Kpi {
  return {
    name: 'mttr', title: 'MTTR', asset: 'acme/cologne', unit: 'h', value: 1.1, low: 0.8, high: 1.6, confidence: 0.9, numerator: null,
    denominator: { value: 7, unit: '1', text: 'repairs' }, n: 7, formula: '', reference: '', from: '2026-05-12T00:00:00Z', to: '2026-05-12T08:00:00Z', previous: 1.4, ...change,
  };
}

describe('a KPI', () => {
  it('reads with its unit, what it was, and its interval', () => {
    expect(kpiText(aKpi())).toEqual({ number: '1.1', unit: 'h', was: 'was 1.4' });
    expect(intervalText(aKpi())).toBe('7 repairs, 90 %: 0.8 to 1.6');
    expect(intervalText(aKpi({ denominator: null }))).toBe('n = 7, 90 %: 0.8 to 1.6');
  });
  it('has no value rather than 0 without events', () => {
    expect(kpiText(aKpi({ value: null, previous: null }))).toEqual({ number: 'no value yet', unit: '', was: '' });
  });
  it('does not say what it was when that looks the same', () => {
    expect(kpiText(aKpi({ previous: 1.11 })).was).toBe('');
  });
  it('shows the widest asset and the headline figures first', () => {
    const all = [aKpi({ asset: 'acme/cologne/filling' }), aKpi(), aKpi({ name: 'oee' }), aKpi({ name: 'utilisation' })];
    expect(widest(all).map((k) => `${k.name} ${k.asset}`)).toEqual(['oee acme/cologne', 'mttr acme/cologne', 'utilisation acme/cologne']);
    expect(headline(all).map((k) => k.name)).toEqual(['oee', 'mttr']);
  });
  it('names its period', () => {
    expect(periodLabel(aKpi())).toBe('last 8 h');
    expect(periodLabel(aKpi({ from: '2026-05-01T00:00:00Z' }))).toBe('last 11 days');
    expect(periodLabel(undefined)).toBe('');
  });
});
