// Where alarms stand on a trend's time axis.
import type { Alarm, Priority } from '../api';
import { isUnacknowledged, verdictWord } from './alarms';
import { clockText, parseTime } from './time';

export interface Mark {
  time: number; // ms
  label: string;
  priority: Priority | null; // Null once somebody has answered: no colour any more.
}

export function marksOf(alarms: readonly Alarm[], thing: string | undefined): Mark[] {
  return alarms
    .filter((alarm) => alarm.thing === thing)
    .slice(0, 12)
    .flatMap((alarm) => {
      const time = parseTime(alarm.raised);
      if (time === null) return [];
      const what = alarm.verdict ? verdictWord(alarm.verdict.kind) : 'alarm';
      return [{ time, label: `${what} ${clockText(time, time)}`, priority: isUnacknowledged(alarm) ? alarm.priority : null }];
    });
}
