// Numbers, units and durations as people read them. A missing number is said in words, never shown as 0.

const grouped = (digits: number) =>
  new Intl.NumberFormat('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
const FORMATS = [0, 1, 2, 3, 4].map(grouped);

// As many decimals as the magnitude deserves, so that a live value does not change its width all the time.
function decimals(magnitude: number): number {
  if (magnitude >= 100 || magnitude === 0) return 0;
  if (magnitude >= 1) return 1;
  if (magnitude >= 0.01) return 2;
  return 4;
}

export function formatNumber(value: number | null | undefined, digits?: number): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return 'no value';
  const magnitude = Math.abs(value);
  if (digits === undefined && magnitude !== 0 && magnitude < 0.0005) return value.toExponential(1);
  const wanted = Math.min(digits ?? decimals(magnitude), 4);
  const text = (FORMATS[wanted] ?? grouped(wanted)).format(value);
  return /^-0(\.0+)?$/.test(text) ? text.slice(1) : text;
}

// A number that somebody wrote down, a limit for example: as written, without decimals that say nothing.
const plain = new Intl.NumberFormat('en', { maximumFractionDigits: 4, maximumSignificantDigits: 6 });
export function formatPlain(value: unknown): string {
  if (typeof value === 'number') return Number.isFinite(value) ? plain.format(value) : 'no value';
  return brief(value);
}

export function formatCount(value: number | null | undefined): string {
  return formatNumber(value === null || value === undefined ? value : Math.round(value), 0);
}

export function formatSigned(value: number, digits = 1): string {
  const text = formatNumber(value, digits);
  return value > 0 && Number(text) !== 0 ? `+${text}` : text;
}

const UNITS: Record<string, string> = {
  '1': '',
  Cel: '°C',
  'm3/h': 'm³/h',
  'm3': 'm³',
  'N.m': 'N·m',
  'kW.h': 'kWh',
  'mm/s2': 'mm/s²',
  '/min': '/min',
  '[degF]': '°F',
  deg: '°',
  '1/h': '/h',
};

// UCUM code -> what is printed beside the number.
export function unitText(ucum: string | null | undefined): string {
  if (!ucum) return '';
  return UNITS[ucum] ?? ucum.replace('Cel', '°C').replace('kW.h', 'kWh').replace(/m3\b/g, 'm³');
}

export function withUnit(value: number | null | undefined, unit: string, digits?: number): string {
  const number = formatNumber(value, digits);
  const text = unitText(unit);
  return text === '' || number === 'no value' ? number : `${number} ${text}`;
}

// Any value a point may have.
export function formatValue(value: number | boolean | string | null | undefined, unit = ''): string {
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  if (typeof value === 'string') return value === '' ? 'empty' : value;
  return withUnit(value, unit);
}

// Seconds -> "45 s", "7 min", "3 h 5 min", "2 d 4 h".
export function formatDuration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return 'no time';
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  const minutes = Math.floor(s / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
  const days = Math.floor(hours / 24);
  return hours % 24 === 0 ? `${days} d` : `${days} d ${hours % 24} h`;
}

// "bearing_wear" -> "bearing wear"; "first-pass-yield" stays readable too.
export function words(code: string): string {
  return code.replace(/[_]+/g, ' ').trim();
}

export function sentence(text: string): string {
  const trimmed = text.trim();
  return trimmed === '' ? '' : trimmed.charAt(0).toUpperCase() + trimmed.slice(1);
}

// Stages are written "idea -> pilot" in files.
export function arrows(text: string): string {
  return text.replace(/\s*->\s*/g, ' → ');
}

export function plural(count: number, one: string, many = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}

// Bytes as people say them: 1.2 MB.
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

// Any JSON in a table cell or a detail list.
export function brief(value: unknown): string {
  if (value === null || value === undefined) return 'none';
  if (typeof value === 'number') return formatNumber(value);
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (typeof value === 'string') return value;
  if (Array.isArray(value)) return value.map(brief).join(', ');
  return Object.entries(value as Record<string, unknown>)
    .map(([key, inner]) => `${words(key)} ${brief(inner)}`)
    .join('; ');
}
