// Where alarms stand on a trend's time axis.
import type { Alarm } from '../api';
import { isUnacknowledged, verdictWord } from './alarms';
import { clockText, parseTime } from './time';

export interface Mark {
  time: number; // ms
  label: string;
  abnormal: boolean;
}

export function marksOf(alarms: readonly Alarm[], thing: string | undefined): Mark[] {
  return alarms
    .filter((alarm) => alarm.thing === thing)
    .slice(0, 12)
    .flatMap((alarm) => {
      const time = parseTime(alarm.raised);
      if (time === null) return [];
      const what = alarm.verdict ? verdictWord(alarm.verdict.kind) : 'alarm';
      return [{ time, label: `${what} ${clockText(time, time)}`, abnormal: isUnacknowledged(alarm) }];
    });
}
