// Small hooks that several pages need.
import { useEffect, useLayoutEffect, useMemo, useRef, useState, useSyncExternalStore, type RefObject } from 'react';
import type { Alarm } from './api';
import { byUrgency, isOpen } from './lib/alarms';
import { plantTime } from './live/state';
import { live, useLive } from './live/store';

let tick = 0;
const tickers = new Set<() => void>();
window.setInterval(() => {
  tick = Date.now();
  for (const ticker of tickers) ticker();
}, 1000);

// The plant's time, once per second.
export function usePlantNow(): number {
  useSyncExternalStore(
    (listener) => {
      tickers.add(listener);
      return () => void tickers.delete(listener);
    },
    () => tick,
  );
  return plantTime(live.get(), Date.now());
}

export function useOpenAlarms(): { alarms: Alarm[]; loaded: boolean } {
  const all = useLive((s) => s.alarms);
  const loaded = useLive((s) => s.alarmsLoaded);
  const alarms = useMemo(() => [...all.values()].filter(isOpen).sort(byUrgency), [all]);
  return { alarms, loaded };
}

export function useTitle(title: string) {
  useEffect(() => {
    document.title = title === '' ? 'Penstock' : `${title} · Penstock`;
  }, [title]);
}

// The width of an element in CSS pixels; 0 before it is laid out.
export function useWidth<T extends HTMLElement>(): [RefObject<T | null>, number] {
  const ref = useRef<T>(null);
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    const element = ref.current;
    if (!element) return;
    setWidth(Math.floor(element.clientWidth));
    const observer = new ResizeObserver(() => setWidth(Math.floor(element.clientWidth)));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return [ref, width];
}

// An action with its state: busy while it runs, the problem when it failed.
export function useAction<A extends unknown[]>(action: (...args: A) => Promise<unknown>) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<unknown>(null);
  const run = async (...args: A): Promise<boolean> => {
    setBusy(true);
    setProblem(null);
    try {
      await action(...args);
      return true;
    } catch (error) {
      setProblem(error);
      return false;
    } finally {
      setBusy(false);
    }
  };
  return { run, busy, problem };
}
