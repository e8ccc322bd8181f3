// Answers of the node, kept by key, so that going back to a page shows it at once while it is read again. A key is a
// path like "kpis" or "alarm/A-1042"; invalidate("kpi") marks all that begin so, and what is on the screen is read anew.
import { useEffect, useSyncExternalStore } from 'react';
import { Problem } from '../api';

export interface Entry<T> {
  data: T | undefined;
  problem: Problem | undefined;
  loading: boolean;
}

interface Slot extends Entry<unknown> {
  fetch: () => Promise<unknown>;
  stale: boolean;
  busy: boolean;
  users: number;
  listeners: Set<() => void>;
  snapshot: Entry<unknown>;
}

const KEEP = 60;
const slots = new Map<string, Slot>();

function slotOf(key: string, fetch: () => Promise<unknown>): Slot {
  let slot = slots.get(key);
  if (!slot) {
    const empty = { data: undefined, problem: undefined, loading: true };
    slot = { ...empty, fetch, stale: true, busy: false, users: 0, listeners: new Set(), snapshot: empty };
    slots.set(key, slot);
    dropUnused();
  }
  slot.fetch = fetch;
  return slot;
}

function dropUnused() {
  for (const [key, slot] of slots) {
    if (slots.size <= KEEP) return;
    if (slot.users === 0 && slot.listeners.size === 0 && slot.data !== undefined) slots.delete(key);
  }
}

function publish(slot: Slot) {
  slot.snapshot = { data: slot.data, problem: slot.problem, loading: slot.loading };
  for (const listener of slot.listeners) listener();
}

async function load(slot: Slot): Promise<void> {
  if (slot.busy) return;
  slot.busy = true;
  slot.stale = false;
  try {
    slot.data = await slot.fetch();
    slot.problem = undefined;
  } catch (error) {
    slot.problem = error instanceof Problem ? error : new Problem(0, 'The answer cannot be read', String(error));
  }
  slot.loading = false;
  slot.busy = false;
  publish(slot);
  if (slot.stale && slot.users > 0) void load(slot);
}

export function invalidate(prefix: string) {
  for (const [key, slot] of slots) {
    if (!key.startsWith(prefix)) continue;
    slot.stale = true;
    if (slot.users > 0) void load(slot);
  }
}

// Puts in what a write has answered, without asking again.
export function put(key: string, data: unknown) {
  const slot = slots.get(key);
  if (!slot) return;
  slot.data = data;
  slot.problem = undefined;
  slot.loading = false;
  publish(slot);
}

export function clearCache() {
  for (const slot of slots.values()) {
    Object.assign(slot, { data: undefined, problem: undefined, loading: true, stale: true });
    publish(slot);
  }
}

// `every` (ms) reads again regularly while the page is visible.
export function useResource<T>(key: string, fetch: () => Promise<T>, every?: number): Entry<T> & { reload: () => void } {
  const slot = slotOf(key, fetch);
  const entry = useSyncExternalStore(
    (listener) => {
      slot.listeners.add(listener);
      return () => void slot.listeners.delete(listener);
    },
    () => slot.snapshot,
  ) as Entry<T>;
  useEffect(() => {
    const used = slots.get(key);
    if (!used) return;
    used.users++;
    if (used.stale) void load(used);
    const timer = every
      ? window.setInterval(() => document.visibilityState === 'visible' && void load(used), every)
      : undefined;
    return () => {
      used.users--;
      window.clearInterval(timer);
    };
  }, [key, every]);
  return { ...entry, reload: () => void load(slot) };
}
