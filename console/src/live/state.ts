// What the live stream has told so far, as one immutable value; every event makes the next one. The components read it
// through live/store.ts. No clock in here: the time an event came in is an argument.
import type { Alarm, Overview } from '../api';
import { isUnacknowledged } from '../lib/alarms';

export type Connection = 'connecting' | 'live' | 'lost';

export interface LiveValue {
  value: number | boolean | string | null;
  quality: string;
  time: number; // ms
}

export interface LiveState {
  connection: Connection;
  lostSince: number | null; // Wall time, ms.
  lastEvent: number | null;
  values: ReadonlyMap<string, LiveValue>;
  overview: Overview | null;
  alarms: ReadonlyMap<string, Alarm>;
  alarmsLoaded: boolean;
  plant: { time: number; wall: number; speed: number } | null; // Where the plant's clock stood at a wall time.
  news: { alarm: Alarm; serial: number } | null; // The newest alarm that was not there before.
}

export const EMPTY: LiveState = {
  connection: 'connecting',
  lostSince: null,
  lastEvent: null,
  values: new Map(),
  overview: null,
  alarms: new Map(),
  alarmsLoaded: false,
  plant: null,
  news: null,
};

export type LiveEvent =
  | { type: 'opened' }
  | { type: 'lost' }
  | { type: 'values'; time: string | null; values: Record<string, [LiveValue['value'], string, number]> }
  | { type: 'overview'; overview: Overview }
  | { type: 'clock'; time: string; speed: number }
  | { type: 'alarms'; alarms: readonly Alarm[] }
  | { type: 'alarm'; alarm: Alarm };

export function reduce(state: LiveState, event: LiveEvent, wall: number): LiveState {
  switch (event.type) {
    case 'opened':
      return { ...state, connection: 'live', lostSince: null, lastEvent: wall };
    case 'lost':
      return state.connection === 'lost' ? state : { ...state, connection: 'lost', lostSince: state.lastEvent ?? wall };
    case 'values':
      return { ...heard(state, wall), values: mergeValues(state.values, event.values), plant: setClock(state.plant, event.time, undefined, wall) };
    case 'overview':
      return { ...heard(state, wall), overview: event.overview, plant: setClock(state.plant, event.overview.time, event.overview.speed, wall) };
    case 'clock':
      return { ...state, plant: setClock(state.plant, event.time, event.speed, wall) };
    case 'alarms':
      return { ...state, alarms: new Map(event.alarms.map((alarm) => [alarm.id, alarm])), alarmsLoaded: true };
    case 'alarm':
      return takeAlarm(heard(state, wall), event.alarm);
  }
}

function heard(state: LiveState, wall: number): LiveState {
  return { ...state, connection: 'live', lostSince: null, lastEvent: wall };
}

// An older value never replaces a newer one: events may be replayed after a reconnect.
function mergeValues(known: LiveState['values'], news: Record<string, [LiveValue['value'], string, number]>): LiveState['values'] {
  const next = new Map(known);
  for (const [path, [value, quality, time]] of Object.entries(news)) {
    const before = next.get(path);
    if (!before || time >= before.time) next.set(path, { value, quality, time });
  }
  return next;
}

function setClock(plant: LiveState['plant'], time: string | null, speed: number | undefined, wall: number): LiveState['plant'] {
  const ms = time === null ? NaN : Date.parse(time);
  if (Number.isNaN(ms)) return plant;
  return { time: ms, wall, speed: speed ?? plant?.speed ?? 1 };
}

function takeAlarm(state: LiveState, alarm: Alarm): LiveState {
  const known = state.alarms.get(alarm.id);
  if (known && Date.parse(known.last_change) > Date.parse(alarm.last_change)) return state;
  const alarms = new Map(state.alarms).set(alarm.id, alarm);
  const isNews = isUnacknowledged(alarm) && (known === undefined || !isUnacknowledged(known));
  const news = isNews && state.alarmsLoaded ? { alarm, serial: (state.news?.serial ?? 0) + 1 } : state.news;
  return { ...state, alarms, news };
}

// The plant's time at a wall time.
export function plantTime(state: LiveState, wall: number): number {
  if (!state.plant) return wall;
  return state.plant.time + (wall - state.plant.wall) * state.plant.speed;
}
