// Keeps one event stream open. The browser reconnects by itself after a dropped connection; when it has given up (the
// node answered an error), or when a stream that should speak is silent, a new one is opened with growing pauses.
// Browsers allow six connections to one address, so a page that nobody looks at gives its stream back.
import { LIVE_URL, api, type Alarm, type Overview } from '../api';
import { invalidate } from '../data/cache';
import { live } from './store';

const SILENCE_MS = 12_000;
const HIDDEN_MS = 60_000;
const RETRY_MS = [1000, 2000, 4000, 8000, 15_000];

export function connectLive(onSignedOut: () => void): () => void {
  let source: EventSource | null = null;
  let timer: number | undefined;
  let tries = 0;
  let stopped = false;
  let openedBefore = false;

  const open = () => {
    if (stopped) return;
    source?.close();
    source = new EventSource(LIVE_URL);
    source.onopen = () => {
      tries = 0;
      live.dispatch({ type: 'opened' });
      if (openedBefore) invalidate(''); // What changed meanwhile may not be told again.
      openedBefore = true;
      void loadAlarms();
      void loadOverview();
    };
    source.onerror = () => {
      live.dispatch({ type: 'lost' });
      if (source?.readyState === EventSource.CLOSED) retry();
    };
    listen(source);
  };

  const retry = () => {
    window.clearTimeout(timer);
    const pause = RETRY_MS[Math.min(tries++, RETRY_MS.length - 1)];
    timer = window.setTimeout(() => {
      api.session().then((session) => (session.user ? open() : onSignedOut()), retry);
    }, pause);
  };

  const watch = window.setInterval(() => {
    const { lastEvent, connection } = live.get();
    if (source && connection === 'live' && lastEvent !== null && Date.now() - lastEvent > SILENCE_MS) {
      live.dispatch({ type: 'lost' });
      open();
    }
  }, 3000);

  const pause = () => {
    window.clearTimeout(timer);
    source?.close();
    source = null;
  };
  const resume = () => {
    window.clearTimeout(hiddenTimer);
    if (source === null) open();
  };
  let hiddenTimer: number | undefined;
  const onVisibility = () => {
    window.clearTimeout(hiddenTimer);
    if (document.visibilityState === 'hidden') hiddenTimer = window.setTimeout(pause, HIDDEN_MS);
    else resume();
  };
  window.addEventListener('pagehide', pause);
  window.addEventListener('pageshow', resume);
  document.addEventListener('visibilitychange', onVisibility);

  open();
  return () => {
    stopped = true;
    window.clearInterval(watch);
    window.clearTimeout(hiddenTimer);
    window.removeEventListener('pagehide', pause);
    window.removeEventListener('pageshow', resume);
    document.removeEventListener('visibilitychange', onVisibility);
    pause();
  };
}

export async function loadAlarms(): Promise<void> {
  try {
    const list = await api.alarms({ state: 'open' });
    live.dispatch({ type: 'alarms', alarms: list.items });
  } catch {
    // The page that shows alarms asks by itself and says what is wrong.
  }
}

export async function loadOverview(): Promise<void> {
  try {
    live.dispatch({ type: 'overview', overview: await api.overview() });
  } catch {
    // The stream tells it soon.
  }
}

function listen(source: EventSource) {
  const on = (name: string, take: (data: unknown) => void) =>
    source.addEventListener(name, (event) => {
      try {
        take(JSON.parse((event as MessageEvent<string>).data));
      } catch (error) {
        console.warn(`live event ${name} cannot be read`, error);
      }
    });
  on('values', (data) => {
    const { time, values } = data as { time: string; values: Record<string, [number | null, string, number]> };
    live.dispatch({ type: 'values', time: time ?? null, values });
  });
  on('overview', (data) => live.dispatch({ type: 'overview', overview: data as Overview }));
  on('alarm', (data) => {
    const alarm = data as Alarm;
    live.dispatch({ type: 'alarm', alarm });
    for (const key of [`alarm/${alarm.id}`, 'alarms', `trace/${alarm.trace}`, 'assets', 'verdicts', 'labels']) invalidate(key);
  });
  on('kpi', () => invalidate('kpi'));
  on('gate', () => invalidate('usecase'));
  on('device', () => invalidate('devices'));
}
