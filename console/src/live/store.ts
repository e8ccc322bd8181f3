// Holds the live state for the components. A component names what it needs and is drawn again only when that changes.
import { useSyncExternalStore } from 'react';
import { EMPTY, reduce, type LiveEvent, type LiveState } from './state';

let state: LiveState = EMPTY;
const listeners = new Set<() => void>();

export const live = {
  get: () => state,
  dispatch(event: LiveEvent, wall = Date.now()) {
    const next = reduce(state, event, wall);
    if (next === state) return;
    state = next;
    for (const listener of listeners) listener();
  },
  reset() {
    state = EMPTY;
    for (const listener of listeners) listener();
  },
  subscribe(listener: () => void) {
    listeners.add(listener);
    return () => void listeners.delete(listener);
  },
};

// `select` must return the same reference while nothing it looks at changed.
export function useLive<T>(select: (state: LiveState) => T): T {
  return useSyncExternalStore(live.subscribe, () => select(state));
}

export const useLiveValue = (path: string) => useLive((s) => s.values.get(path));
export const useConnection = () => useLive((s) => s.connection);
