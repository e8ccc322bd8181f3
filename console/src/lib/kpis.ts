// KPIs in the order a plant manager asks for them, and as one line of text each.
import type { Kpi } from '../api';
import { formatDuration, formatNumber, formatCount, plural, unitText } from './format';

const ORDER = ['oee', 'mttr', 'mtbf', 'first_pass_yield', 'energy_per_unit', 'alarm_precision', 'availability', 'performance', 'quality', 'utilisation'];
const FIRST = ['oee', 'mttr', 'first_pass_yield', 'energy_per_unit', 'alarm_precision'];

const rank = (name: string) => {
  const index = ORDER.indexOf(name);
  return index < 0 ? ORDER.length : index;
};

export function byRank(a: Kpi, b: Kpi): number {
  return rank(a.name) - rank(b.name) || a.name.localeCompare(b.name) || a.asset.localeCompare(b.asset);
}

// One tile per name: the figure of the widest asset (the shortest path), which contains the others.
export function widest(kpis: readonly Kpi[]): Kpi[] {
  const best = new Map<string, Kpi>();
  for (const kpi of kpis) {
    const known = best.get(kpi.name);
    if (!known || kpi.asset.length < known.asset.length) best.set(kpi.name, kpi);
  }
  return [...best.values()].sort(byRank);
}

// On a tile, what everybody calls by its letters has only those.
const SHORT: Record<string, string> = { oee: 'OEE', mttr: 'MTTR', mtbf: 'MTBF' };
export function kpiTitle(kpi: Kpi): string {
  return SHORT[kpi.name] ?? kpi.title;
}

// The column on the first screen.
export function headline(kpis: readonly Kpi[], limit = 5): Kpi[] {
  const all = widest(kpis);
  const first = all.filter((kpi) => FIRST.some((name) => kpi.name === name || kpi.name.startsWith('energy_per')));
  return (first.length > 0 ? first : all).slice(0, limit);
}

// One number of decimals for a figure, its interval and what it was.
function digitsOf(kpi: Kpi): number {
  if (kpi.unit === '%') return 1;
  if (kpi.unit === '1' || kpi.unit === '') return 2;
  const magnitude = Math.abs(kpi.value ?? kpi.previous ?? 1);
  return magnitude >= 1000 ? 0 : magnitude >= 1 ? 1 : 2;
}

export interface KpiText {
  number: string;
  unit: string;
  was: string;
}

// Ratios as written: "%" stays a percentage, hours and seconds keep their unit.
export function kpiText(kpi: Kpi): KpiText {
  const digits = digitsOf(kpi);
  const same = kpi.previous !== null && formatNumber(kpi.previous, digits) === formatNumber(kpi.value, digits);
  return {
    number: kpi.value === null ? 'no value yet' : formatNumber(kpi.value, digits),
    unit: kpi.value === null ? '' : unitText(kpi.unit),
    was: kpi.previous === null || kpi.value === null || same ? '' : `was ${formatNumber(kpi.previous, digits)}`,
  };
}

// "7 repairs" where the denominator counts something that has a short name, else "n = 7".
function countText(kpi: Kpi): string {
  const { n, denominator } = kpi;
  const named = denominator !== null && denominator.value === n && denominator.text !== '' && denominator.text.length <= 18;
  return named && !/\d/.test(denominator.text) ? `${formatCount(n)} ${denominator.text}` : `n = ${formatCount(n)}`;
}

export function intervalText(kpi: Kpi): string {
  const digits = digitsOf(kpi);
  const parts: string[] = [];
  if (kpi.n !== null) parts.push(countText(kpi));
  if (kpi.low !== null && kpi.high !== null) {
    const sure = kpi.confidence ? `${formatNumber(kpi.confidence * 100, 0)} %: ` : '';
    parts.push(`${sure}${formatNumber(kpi.low, digits)} to ${formatNumber(kpi.high, digits)}`);
  }
  return parts.join(', ');
}

// OEE reads with its three factors beside it.
export function factorsText(kpis: readonly Kpi[], asset: string): string {
  const of = (name: string) => kpis.find((kpi) => kpi.name === name && kpi.asset === asset)?.value ?? null;
  const parts = (['availability', 'performance', 'quality'] as const)
    .map((name) => ({ letter: name.charAt(0).toUpperCase(), value: of(name) }))
    .filter((factor) => factor.value !== null);
  return parts.map((factor) => `${factor.letter} ${formatNumber(factor.value, 1)}`).join(' · ');
}

export function periodLabel(kpi: Kpi | undefined): string {
  if (!kpi) return '';
  const seconds = (Date.parse(kpi.to) - Date.parse(kpi.from)) / 1000;
  if (!Number.isFinite(seconds) || seconds <= 0) return '';
  const days = Math.round(seconds / 86_400);
  if (days >= 28 && days <= 31) return 'last month';
  if (days >= 2) return `last ${plural(days, 'day')}`;
  return `last ${formatDuration(seconds < 3600 ? seconds : Math.round(seconds / 3600) * 3600)}`;
}
