import { describe, expect, it } from 'vitest';
import { anAlarm } from '../test_data';
import { advice, announcement, atLeast, byUrgency, codeOf, isOpen, leftText, OVERRIDES, secondsLeft } from './alarms';

const RAISED = Date.parse('2026-05-12T12:02:00Z');

describe('what to do first', () => {
  it('is unanswered before answered, high before low, new before old', () => {
    const verdict = { kind: 'unsure' as const, code: '', note: '', actor: 'ada', at: '' };
    const alarms = [
      anAlarm({ id: 'shelved', state: 'shelved' }),
      anAlarm({ id: 'acked', state: 'active_acknowledged' }),
      anAlarm({ id: 'low', priority: 3 }),
      anAlarm({ id: 'old' }),
      anAlarm({ id: 'new', raised: '2026-05-12T13:00:00.000000Z' }),
      anAlarm({ id: 'cleared', state: 'cleared_unacknowledged', verdict }),
    ];
    expect(alarms.sort(byUrgency).map((a) => a.id)).toEqual(['new', 'old', 'low', 'cleared', 'acked', 'shelved']);
  });
  it('keeps an alarm open until it is normal and has its verdict', () => {
    expect(isOpen(anAlarm({ state: 'normal' }))).toBe(true);
    expect(isOpen(anAlarm({ state: 'normal', verdict: { kind: 'unsure', code: '', note: '', actor: '', at: '' } }))).toBe(false);
  });
  it('asks nothing of an alarm that another one took the place of', () => {
    expect(isOpen(anAlarm({ state: 'normal', superseded_by: 'A-1043' }))).toBe(false);
  });
});

describe('words about an alarm', () => {
  it('say what happens and what to do in time', () => {
    expect(advice(anAlarm())).toBe('Seizure within 4 to 9 days. Plan replacement within 8 h.');
    expect(advice(anAlarm({ consequence: '', response: 'Look at it.', respond_within_s: null }))).toBe('Look at it.');
  });
  it('announce priority by number and word', () => {
    expect(announcement(anAlarm())).toMatch(/^New alarm, priority 1 High: Bearing wear on Pump 7\./);
  });
  it('count the time there is, and stop once it is answered', () => {
    expect(secondsLeft(anAlarm(), RAISED + 3_600_000)).toBe(7 * 3600);
    expect(leftText(7 * 3600)).toBe('7 h left');
    expect(leftText(-120)).toBe('overdue by 2 min');
    expect(secondsLeft(anAlarm({ state: 'normal' }), RAISED)).toBeNull();
  });
  it('make a code of any cause', () => {
    expect(codeOf('Bearing wear')).toBe('bearing_wear');
    expect(codeOf('bearing_wear')).toBe('bearing_wear');
  });
});

describe('answers', () => {
  it('offer every other kind of verdict once, each with reasons for one tap', () => {
    expect(new Set(OVERRIDES.map((o) => o.kind)).size).toBe(5);
    for (const choice of OVERRIDES) expect(choice.reasons.length).toBeGreaterThan(1);
  });
  it('need a role', () => {
    expect(atLeast('admin', 'technician')).toBe(true);
    expect(atLeast('viewer', 'technician')).toBe(false);
    expect(atLeast(undefined, 'viewer')).toBe(false);
  });
});
