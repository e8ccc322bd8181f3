// What an alarm is in words, and in which order alarms want to be answered.
import type { Alarm, AlarmState, Priority, Role, VerdictKind } from '../api';
import { ROLES } from '../api';
import { formatDuration, sentence, words } from './format';
import { parseTime } from './time';

export const PRIORITY_WORD: Record<Priority, string> = { 1: 'High', 2: 'Medium', 3: 'Low' };

const STATE_WORD: Record<AlarmState, string> = {
  active_unacknowledged: 'active, nobody has answered',
  active_acknowledged: 'active, acknowledged',
  cleared_unacknowledged: 'cleared by itself, nobody has answered',
  normal: 'back to normal',
  shelved: 'shelved',
  suppressed: 'suppressed by design',
  out_of_service: 'out of service',
};

export function stateWord(state: AlarmState): string {
  return STATE_WORD[state] ?? words(state);
}

export function isOpen(alarm: Alarm): boolean {
  return alarm.state !== 'normal' || (alarm.verdict === null && !alarm.superseded_by);
}

export function isUnacknowledged(alarm: Alarm): boolean {
  return alarm.state === 'active_unacknowledged' || alarm.state === 'cleared_unacknowledged';
}

export function isActive(alarm: Alarm): boolean {
  return alarm.state === 'active_unacknowledged' || alarm.state === 'active_acknowledged';
}

const STATE_ORDER: Record<AlarmState, number> = {
  active_unacknowledged: 0,
  cleared_unacknowledged: 1,
  active_acknowledged: 2,
  normal: 3,
  shelved: 4,
  suppressed: 5,
  out_of_service: 6,
};

// What to do first: unanswered before answered, high before low, then the newest.
export function byUrgency(a: Alarm, b: Alarm): number {
  return (
    (STATE_ORDER[a.state] ?? 9) - (STATE_ORDER[b.state] ?? 9) ||
    a.priority - b.priority ||
    (parseTime(b.raised) ?? 0) - (parseTime(a.raised) ?? 0) ||
    a.id.localeCompare(b.id)
  );
}

// The fault code a confirmation starts with: "bearing wear" and "bearing_wear" are the same cause.
export function codeOf(cause: string): string {
  return cause.trim().toLowerCase().replace(/[^a-z0-9]+/g, '_').replace(/^_+|_+$/g, '');
}

// "Seizure within 4 to 9 days. Plan replacement within 8 h."
export function advice(alarm: Alarm): string {
  const parts: string[] = [];
  if (alarm.consequence.toLowerCase() === 'unknown') parts.push('Consequence unknown.');
  else if (alarm.consequence) parts.push(`${sentence(alarm.consequence).replace(/\.$/, '')}.`);
  if (alarm.response) {
    const within = alarm.respond_within_s ? ` within ${formatDuration(alarm.respond_within_s)}` : '';
    parts.push(`${sentence(alarm.response).replace(/\.$/, '')}${within}.`);
  }
  return parts.join(' ');
}

// How long there is; negative: overdue. Null when it is answered or has cleared, or no time was set.
export function secondsLeft(alarm: Alarm, now: number): number | null {
  const raised = parseTime(alarm.raised);
  if (raised === null || !alarm.respond_within_s || alarm.verdict || !isActive(alarm)) return null;
  return alarm.respond_within_s - (now - raised) / 1000;
}

export function leftText(seconds: number): string {
  return seconds >= 0 ? `${formatDuration(seconds)} left` : `overdue by ${formatDuration(-seconds)}`;
}

export function announcement(alarm: Alarm): string {
  return `New alarm, priority ${alarm.priority} ${PRIORITY_WORD[alarm.priority]}: ${alarm.title}. ${advice(alarm)}`.trim();
}

export function atLeast(role: Role | undefined, needed: Role): boolean {
  return role !== undefined && ROLES.indexOf(role) >= ROLES.indexOf(needed);
}

export interface VerdictChoice {
  kind: VerdictKind;
  title: string;
  hint: string;
  reasons: { code: string; text: string }[]; // One tap each.
}

// What else the truth may be, each with the reasons that people give most often.
export const OVERRIDES: readonly VerdictChoice[] = [
  {
    kind: 'false_alarm',
    title: 'False alarm',
    hint: 'Nothing is wrong',
    reasons: [
      { code: 'inspected', text: 'Inspected, machine is fine' },
      { code: 'limit_too_tight', text: 'Limits are too tight' },
      { code: 'unusual_load', text: 'Unusual load, not a fault' },
    ],
  },
  {
    kind: 'sensor_fault',
    title: 'Sensor fault',
    hint: 'The reading is wrong, not the machine',
    reasons: [
      { code: 'stuck', text: 'Stuck value' },
      { code: 'offset', text: 'Offset' },
      { code: 'drift', text: 'Drift' },
      { code: 'spikes', text: 'Spikes' },
      { code: 'drop_out', text: 'Signal drops out' },
    ],
  },
  {
    kind: 'known_or_planned',
    title: 'Known or planned',
    hint: 'Somebody is on it already',
    reasons: [
      { code: 'maintenance_planned', text: 'Maintenance is planned' },
      { code: 'work_in_progress', text: 'Work in progress' },
      { code: 'watched', text: 'Known, being watched' },
    ],
  },
  {
    kind: 'mode_change',
    title: 'Change of mode',
    hint: 'The machine runs differently on purpose',
    reasons: [
      { code: 'product_change', text: 'Other product' },
      { code: 'start_or_stop', text: 'Start-up or stop' },
      { code: 'cleaning', text: 'Cleaning' },
      { code: 'test_run', text: 'Test run' },
    ],
  },
  {
    kind: 'unsure',
    title: 'Unsure',
    hint: 'Needs another look',
    reasons: [
      { code: 'not_inspected', text: 'Could not inspect it yet' },
      { code: 'second_opinion', text: 'Wants a second opinion' },
    ],
  },
];

const KIND_WORD: Record<VerdictKind, string> = {
  true_fault: 'true fault',
  known_or_planned: 'known or planned',
  sensor_fault: 'sensor fault',
  false_alarm: 'false alarm',
  mode_change: 'change of mode',
  unsure: 'unsure',
};

export function verdictWord(kind: VerdictKind): string {
  return KIND_WORD[kind] ?? words(kind);
}
