// A trend: ranges, zoom, pan, live, and the same as a table. Asks the node for one row per pixel, never for more.
import { useEffect, useMemo, useRef, useState, type KeyboardEvent } from 'react';
import { api, Problem, type Trend as TrendAnswer, type TrendRow } from '../api';
import { usePlantNow, useWidth } from '../hooks';
import { withUnit, formatNumber, unitText } from '../lib/format';
import type { Mark } from '../lib/marks';
import { isCounter, isGood, rateUnit } from '../lib/points';
import { clockText, isoTime, periodText } from '../lib/time';
import { appendLive, decimate, spanOf, toRate, toSeries, valueRange, type RangeId } from '../lib/trend';
import { plantTime } from '../live/state';
import { live, useConnection, useLiveValue } from '../live/store';
import { useIsDark } from '../theme';
import { Empty, ProblemNote } from './problem';
import { RangePicker } from './range_picker';
import { TrendChart, type ChartInput } from './trend_chart';

type View = { kind: 'live'; range: RangeId } | { kind: 'fixed'; from: number; to: number };

interface Props {
  path: string;
  title: string;
  waveform: boolean;
  marks?: readonly Mark[];
  height?: number;
  start?: View;
  rateBand?: { low: number; high: number } | null; // Normal band of a counter's rate.
}

const NO_MARKS: readonly Mark[] = [];

function windowOf(view: View, now: number): { from: number; to: number } {
  return view.kind === 'live' ? { from: now - spanOf(view.range), to: now } : { from: view.from, to: view.to };
}

const MINUTE = 60_000;
const RATE_WINDOW = 10 * MINUTE;

interface Loaded {
  answer: TrendAnswer;
  rows: TrendRow[];
  bucket: number;
}

// Reads the trend again when the window changes, and now and then while it is live; between, live values are appended.
function useTrendRows(path: string, view: View, width: number, waveform: boolean) {
  const [loaded, setLoaded] = useState<Loaded | null>(null);
  const [problem, setProblem] = useState<unknown>(null);
  const viewKey = JSON.stringify(view);
  useEffect(() => {
    if (width < 20) return;
    const stop = new AbortController();
    const read = async () => {
      const window = windowOf(JSON.parse(viewKey) as View, plantTime(live.get(), Date.now()));
      try {
        const query = { from: isoTime(window.from), to: isoTime(window.to), width, ...(waveform ? { of: 'rms' } : {}) };
        const answer = await api.trend(path, query, stop.signal);
        const rows = decimate(answer.points, width);
        setLoaded({ answer, rows, bucket: Math.max(1, (window.to - window.from) / width) });
        setProblem(null);
      } catch (error) {
        if (!stop.signal.aborted) setProblem(error instanceof Problem ? error : new Problem(0, 'The trend cannot be read', String(error)));
      }
    };
    void read();
    const isLive = (JSON.parse(viewKey) as View).kind === 'live';
    const timer = isLive ? window.setInterval(() => document.visibilityState === 'visible' && void read(), 5000) : undefined;
    return () => {
      stop.abort();
      window.clearInterval(timer);
    };
  }, [path, viewKey, width, waveform]);
  return { loaded, setLoaded, problem };
}

// A counter is shown as its rate.
function asRate(loaded: Loaded, band: { low: number; high: number } | null): Loaded {
  const answer = { ...loaded.answer, unit: rateUnit(loaded.answer.unit), normal_low: band?.low ?? null, normal_high: band?.high ?? null };
  return { ...loaded, answer, rows: toRate(loaded.rows, Math.max(RATE_WINDOW, 4 * loaded.bucket)) };
}

// A trend opens on what there is: where the node has not recorded the first part of the window, that part is left out.
function fitted(view: View, loaded: Loaded, now: number): View {
  const first = loaded.rows[0]?.[0];
  const { from, to } = windowOf(view, now);
  if (first === undefined || first < from + (to - from) / 4) return view;
  if (view.kind === 'live') return first > now - spanOf('1h') ? { kind: 'live', range: '1h' } : view;
  return { kind: 'fixed', from: Math.min(first - MINUTE, to - 30 * MINUTE), to };
}

export function Trend({ path, title, waveform, marks = NO_MARKS, height = 190, start, rateBand = null }: Props) {
  const [opened] = useState<View>(start ?? { kind: 'live', range: '8h' });
  const [view, setView] = useState<View>(opened);
  const [table, setTable] = useState(false);
  const [box, width] = useWidth<HTMLDivElement>();
  const hover = useRef<HTMLSpanElement>(null);
  const { loaded: any, setLoaded, problem } = useTrendRows(path, view, width, waveform);
  const raw = any?.answer.path === path ? any : null;
  const counter = isCounter(path.slice(path.indexOf('/') + 1));
  const loaded = useMemo(() => (raw && counter ? asRate(raw, rateBand) : raw), [raw, counter, rateBand]);
  const isLoaded = raw !== null;
  useEffect(() => {
    if (isLoaded && raw) setView((now) => (now === opened ? fitted(now, raw, plantTime(live.get(), Date.now())) : now));
    // Only once, with the first answer; what the viewer chooses later stays.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [isLoaded]);
  const samples = waveform && loaded?.answer.of !== 'rms';
  useLiveTail(path, view, samples, setLoaded);
  const now = usePlantNow();
  const window = windowOf(view, now);

  const input = useMemo<ChartInput | null>(() => {
    if (!loaded) return null;
    const series = toSeries(loaded.rows, loaded.bucket);
    const low = samples ? null : loaded.answer.normal_low;
    const high = samples ? null : loaded.answer.normal_high;
    const bad = loaded.rows.filter((row) => row[6] > 0).map((row): [number, number] => [row[0], row[0] + loaded.bucket]);
    return { series, from: window.from, to: window.to, range: valueRange(series, low, high), low, high, marks, bad };
  }, [loaded, samples, window.from, window.to, marks]);

  const pan = (share: number) => {
    const shift = (window.to - window.from) * share;
    setView({ kind: 'fixed', from: window.from + shift, to: window.to + shift });
  };
  const zoom = (factor: number) => {
    const middle = (window.from + window.to) / 2;
    const half = ((window.to - window.from) / 2) * factor;
    setView({ kind: 'fixed', from: middle - half, to: middle + half });
  };
  const goLive = () => setView({ kind: 'live', range: view.kind === 'live' ? view.range : '8h' });
  const onKey = (event: KeyboardEvent) => {
    const does: Record<string, () => void> = { ArrowLeft: () => pan(-0.25), ArrowRight: () => pan(0.25), '+': () => zoom(0.5), '-': () => zoom(2), Home: goLive };
    const action = does[event.key];
    if (!action || event.target !== event.currentTarget) return;
    event.preventDefault();
    action();
  };
  const unit = unitText(loaded?.answer.unit);
  const name = `${title}${waveform ? (samples ? ', samples' : ' RMS') : counter ? ' rate' : ''}${unit ? `, ${unit}` : ''}`;
  return (
    <section className="panel trend" aria-label={`Trend of ${name}`} data-trend={path}>
      <div className="head">
        <h3>{name}</h3>
        <div className="tools">
          <RangePicker chosen={view.kind === 'live' ? view.range : null} onChoose={(range) => setView({ kind: 'live', range })} />
          <button type="button" className="tool pan" onClick={() => pan(-0.5)} aria-label="Earlier">
            ‹
          </button>
          <button type="button" className="tool pan" onClick={() => pan(0.5)} aria-label="Later" disabled={view.kind === 'live'}>
            ›
          </button>
          <button type="button" className="tool text" aria-pressed={table} onClick={() => setTable(!table)}>
            Table
          </button>
        </div>
      </div>
      <div ref={box} className="chart-box" style={{ minHeight: height }}>
        {table && loaded ? (
          <TrendTable loaded={loaded} now={now} />
        ) : (
          input &&
          width > 0 && (
            <div className="chart" role="img" tabIndex={0} onKeyDown={onKey} aria-label={summary(name, loaded, window, now)} title="Drag zooms, shift-drag pans, double click goes back to live">
              <Canvas input={input} width={width} height={height} onWindow={(from, to) => setView({ kind: 'fixed', from, to })} onLive={goLive} onHover={(text) => hover.current && (hover.current.textContent = text)} />
            </div>
          )
        )}
        {loaded && loaded.rows.length === 0 && !table && <div className="over-chart"><Empty title="No samples in this window">Choose a longer range, or see under Data whether the device is connected.</Empty></div>}
        {!loaded && <ProblemNote problem={problem} />}
      </div>
      <p className="flow">
        <span className="hover" ref={hover} aria-hidden="true" />
        {view.kind === 'fixed' ? `${periodText(window.from, window.to, now)} · ` : ''}
        {typeof input?.low === 'number' ? 'normal band shaded, ' : ''}gap = no data, hatched = bad quality{' '}
        {view.kind === 'fixed' && (
          <button type="button" className="link" onClick={goLive}>
            Back to live
          </button>
        )}
      </p>
    </section>
  );
}

function useLiveTail(path: string, view: View, off: boolean, setLoaded: (update: (old: Loaded | null) => Loaded | null) => void) {
  const value = useLiveValue(path);
  const range = view.kind === 'live' ? view.range : null;
  useEffect(() => {
    if (!value || range === null || off) return;
    const number = typeof value.value === 'number' ? value.value : typeof value.value === 'boolean' ? Number(value.value) : null;
    setLoaded((old) => {
      if (!old || old.answer.path !== path) return old;
      const sample = { time: value.time, value: number, good: isGood(value.quality) && number !== null };
      const from = plantTime(live.get(), Date.now()) - spanOf(range);
      return { ...old, rows: appendLive(old.rows, sample, old.bucket, from) };
    });
  }, [value, path, range, off, setLoaded]);
}

interface CanvasProps {
  input: ChartInput;
  width: number;
  height: number;
  onWindow: (from: number, to: number) => void;
  onLive: () => void;
  onHover: (text: string) => void;
}

function Canvas({ input, width, height, ...events }: CanvasProps) {
  const host = useRef<HTMLDivElement>(null);
  const chart = useRef<TrendChart | null>(null);
  const latest = useRef(events);
  latest.current = events;
  const first = useRef({ input, width, height });
  const dark = useIsDark();
  const lost = useConnection() === 'lost';
  useEffect(() => {
    if (!host.current) return;
    const { input: i, width: w, height: h } = first.current;
    const made = new TrendChart(host.current, w, h, i, {
      onWindow: (from, to) => latest.current.onWindow(from, to),
      onLive: () => latest.current.onLive(),
      onHover: (text) => latest.current.onHover(text),
    });
    chart.current = made;
    return () => {
      made.destroy();
      chart.current = null;
    };
  }, []);
  useEffect(() => chart.current?.set(input), [input]);
  useEffect(() => chart.current?.resize(width, height), [width, height]);
  useEffect(() => chart.current?.recolor(), [dark]);
  return <div ref={host} className={lost ? 'canvas stale' : 'canvas'} />;
}

function summary(name: string, loaded: Loaded | null, window: { from: number; to: number }, now: number): string {
  const rows = (loaded?.rows ?? []).filter((row) => row[2] !== null);
  if (rows.length === 0) return `${name}: no samples`;
  const min = Math.min(...rows.map((row) => row[2] as number));
  const max = Math.max(...rows.map((row) => row[3] as number));
  return `${name}, ${periodText(window.from, window.to, now)}: from ${formatNumber(min)} to ${formatNumber(max)}, now ${formatNumber(rows.at(-1)?.[4])}`;
}

function TrendTable({ loaded, now }: { loaded: Loaded; now: number }) {
  const rows = decimate(loaded.rows, 120);
  return (
    <div className="scroll table-box" tabIndex={0} role="region" aria-label="The trend as a table">
      <table>
        <thead>
          <tr>
            <th scope="col">From</th>
            <th scope="col" className="num">Min</th>
            <th scope="col" className="num">Max</th>
            <th scope="col" className="num">Last</th>
            <th scope="col" className="num">Samples</th>
            <th scope="col" className="num">Bad</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row[0]}>
              <td title={new Date(row[0]).toISOString()}>{clockText(row[0], now, true)}</td>
              <td className="num">{formatNumber(row[2])}</td>
              <td className="num">{formatNumber(row[3])}</td>
              <td className="num">{withUnit(row[4], loaded.answer.unit)}</td>
              <td className="num">{row[5]}</td>
              <td className="num">{row[6]}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
