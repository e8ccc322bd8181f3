// Times in the viewer's zone; the full UTC time belongs into a title beside every one of them.

const CLOCK: Intl.DateTimeFormatOptions = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' };
const clock = new Intl.DateTimeFormat('en-GB', CLOCK);
const clockSeconds = new Intl.DateTimeFormat('en-GB', { ...CLOCK, second: '2-digit' });
const day = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' });
const dayYear = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric' });

export function parseTime(time: string | null | undefined): number | null {
  if (!time) return null;
  const ms = Date.parse(time);
  return Number.isNaN(ms) ? null : ms;
}

export function isoTime(ms: number): string {
  return new Date(ms).toISOString().replace('Z', '000Z');
}

export function sameDay(a: number, b: number): boolean {
  return new Date(a).toDateString() === new Date(b).toDateString();
}

// "14:02", or "12 May 14:02" when that was not on the day of `now`.
export function clockText(ms: number, now: number, seconds = false): string {
  const time = (seconds ? clockSeconds : clock).format(ms);
  if (sameDay(ms, now)) return time;
  const date = new Date(ms).getFullYear() === new Date(now).getFullYear() ? day : dayYear;
  return `${date.format(ms)} ${time}`;
}

// "14:02:10.505": steps of a chain are milliseconds apart.
export function preciseText(ms: number): string {
  return `${clockSeconds.format(ms)}.${String(Math.floor(((ms % 1000) + 1000) % 1000)).padStart(3, '0')}`;
}

export function dateText(ms: number): string {
  return dayYear.format(ms);
}

// "8:00 to 12:00" as one phrase for a period; whole days lose their clock.
export function periodText(from: number, to: number, now: number): string {
  const hours = (to - from) / 3_600_000;
  if (hours > 48) return `${day.format(from)} to ${day.format(to)}`;
  return `${clockText(from, now)} to ${clockText(to, now)}`;
}
