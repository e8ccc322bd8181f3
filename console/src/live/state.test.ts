import { describe, expect, it } from 'vitest';
import type { Overview } from '../api';
import { anAlarm } from '../test_data';
import { EMPTY, plantTime, reduce, type LiveEvent, type LiveState } from './state';

const after = (events: LiveEvent[], from: LiveState = EMPTY) => events.reduce((state, event, i) => reduce(state, event, 1000 + i), from);
const overview = { time: '2026-05-12T12:00:00.000000Z', speed: 120 } as Overview;

describe('connection', () => {
  it('is lost since the last event that came', () => {
    const state = after([{ type: 'opened' }, { type: 'overview', overview }, { type: 'lost' }]);
    expect([state.connection, state.lostSince]).toEqual(['lost', 1001]);
  });
  it('keeps the moment of the loss until something comes again', () => {
    const lost = after([{ type: 'opened' }, { type: 'lost' }, { type: 'lost' }]);
    expect(lost.lostSince).toBe(1000);
    expect(after([{ type: 'values', time: null, values: {} }], lost).connection).toBe('live');
  });
});

describe('values', () => {
  it('are merged by point and never replaced by older ones', () => {
    const state = after([
      { type: 'values', time: null, values: { 'pump-7/flow': [42, 'Good', 200], 'pump-7/running': [true, 'Good', 200] } },
      { type: 'values', time: null, values: { 'pump-7/flow': [41, 'Good', 100] } },
      { type: 'values', time: null, values: { 'pump-7/running': [null, 'BadNoCommunication', 300] } },
    ]);
    expect(state.values.get('pump-7/flow')).toEqual({ value: 42, quality: 'Good', time: 200 });
    expect(state.values.get('pump-7/running')).toEqual({ value: null, quality: 'BadNoCommunication', time: 300 });
  });
  it('keep the reference of points that did not change', () => {
    const one = after([{ type: 'values', time: null, values: { a: [1, 'Good', 1], b: [1, 'Good', 1] } }]);
    const two = after([{ type: 'values', time: null, values: { a: [2, 'Good', 2] } }], one);
    expect(two.values.get('b')).toBe(one.values.get('b'));
  });
});

describe('the plant’s clock', () => {
  it('runs at the plant’s speed between events', () => {
    const state = reduce(EMPTY, { type: 'overview', overview }, 5000);
    expect(plantTime(state, 6000)).toBe(Date.parse(overview.time) + 120_000);
  });
  it('is the wall clock before the node has spoken', () => {
    expect(plantTime(EMPTY, 42)).toBe(42);
  });
});

describe('alarms', () => {
  it('are news only when they are new, unanswered, and not from the first list', () => {
    const listed = after([{ type: 'alarms', alarms: [anAlarm()] }]);
    expect(listed.news).toBeNull();
    const same = after([{ type: 'alarm', alarm: anAlarm() }], listed);
    expect(same.news).toBeNull();
    const fresh = after([{ type: 'alarm', alarm: anAlarm({ id: 'A-1043' }) }], listed);
    expect(fresh.news?.alarm.id).toBe('A-1043');
    const answered = after([{ type: 'alarm', alarm: anAlarm({ id: 'A-1044', state: 'active_acknowledged' }) }], listed);
    expect(answered.news).toBeNull();
  });
  it('are news again when they come back', () => {
    const calm = after([{ type: 'alarms', alarms: [anAlarm({ state: 'normal' })] }]);
    expect(after([{ type: 'alarm', alarm: anAlarm({ last_change: '2026-05-12T13:00:00.000000Z' }) }], calm).news?.alarm.id).toBe('A-1042');
  });
  it('never go back to an older state', () => {
    const newer = anAlarm({ state: 'active_acknowledged', last_change: '2026-05-12T12:05:00.000000Z' });
    const state = after([{ type: 'alarms', alarms: [newer] }, { type: 'alarm', alarm: anAlarm() }]);
    expect(state.alarms.get('A-1042')?.state).toBe('active_acknowledged');
  });
});
