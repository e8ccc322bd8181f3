// The uPlot side of a trend: canvas, axes, normal band, alarm marks, hatching where samples were bad; drag zooms,
// shift-drag, touch-drag or a sideways wheel pans. React owns everything else (trend.tsx).
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { formatNumber } from '../lib/format';
import type { Mark } from '../lib/marks';
import type { Series } from '../lib/trend';
import { cssColor } from '../theme';

export interface ChartInput {
  series: Series;
  from: number; // ms
  to: number;
  range: [number, number];
  low: number | null;
  high: number | null;
  marks: readonly Mark[];
  bad: readonly [number, number][]; // Spans with bad samples, ms.
}

export interface ChartEvents {
  onWindow: (from: number, to: number) => void; // The viewer chose another window.
  onLive: () => void; // Double click.
  onHover: (text: string) => void;
}

interface Colors {
  ink: string;
  soft: string;
  line: string;
  band: string;
  high: string;
  med: string;
  low: string;
}

const FONT = '11px Inter, "DejaVu Sans", system-ui, sans-serif';
const readColors = (): Colors => ({
  ink: cssColor('--ink'),
  soft: cssColor('--ink3'),
  line: cssColor('--line'),
  band: cssColor('--band'),
  high: cssColor('--high'),
  med: cssColor('--med'),
  low: cssColor('--low'),
});

const PRIORITY_COLOR = { 1: 'high', 2: 'med', 3: 'low' } as const;

const two = (n: number) => String(n).padStart(2, '0');

function axisText(seconds: number, step: number): string {
  const d = new Date(seconds * 1000);
  if (step >= 86_400) return `${d.getDate()} ${d.toLocaleString('en', { month: 'short' })}`;
  const clock = `${two(d.getHours())}:${two(d.getMinutes())}`;
  return step < 60 ? `${clock}:${two(d.getSeconds())}` : clock;
}

export class TrendChart {
  private readonly plot: uPlot;
  private input: ChartInput;
  private colors = readColors();

  constructor(host: HTMLElement, width: number, height: number, input: ChartInput, events: ChartEvents) {
    this.input = input;
    this.plot = new uPlot(this.options(width, height, events), [input.series.times, input.series.values], host);
    this.bindPan(events);
    this.set(input);
  }

  set(input: ChartInput) {
    this.input = input;
    this.plot.batch(() => {
      this.plot.setData([input.series.times, input.series.values], false);
      this.plot.setScale('x', { min: input.from / 1000, max: input.to / 1000 });
      this.plot.setScale('y', { min: input.range[0], max: input.range[1] });
    });
  }

  resize(width: number, height: number) {
    this.plot.setSize({ width, height });
  }

  recolor() {
    this.colors = readColors();
    this.plot.redraw(false, true);
  }

  destroy() {
    this.plot.destroy();
  }

  private options(width: number, height: number, events: ChartEvents): uPlot.Options {
    const axis = (extra: uPlot.Axis): uPlot.Axis => ({
      font: FONT,
      stroke: () => this.colors.soft,
      ticks: { show: false },
      ...extra,
    });
    return {
      width,
      height,
      legend: { show: false },
      padding: [14, 18, 0, 0],
      scales: { x: { time: true }, y: { range: () => this.input.range } },
      cursor: {
        y: false,
        points: { show: false },
        drag: { x: true, y: false, setScale: false },
        bind: { mousedown: (_, __, handler) => (event) => (event.shiftKey ? null : handler(event)), dblclick: () => () => (events.onLive(), null) },
      },
      axes: [
        axis({ grid: { show: false }, size: 26, space: 70, values: (_, splits, __, ___, step) => splits.map((s) => axisText(s, step)) }),
        axis({ grid: { stroke: () => this.colors.line, width: 0.6 }, size: (u, labels) => this.labelWidth(u, labels), gap: 4, space: 34, values: (_, splits) => splits.map((v) => formatNumber(v, decimalsFor(splits))) }),
      ],
      series: [{}, { stroke: () => this.colors.ink, width: 1.5, points: { show: false }, spanGaps: false }],
      hooks: {
        drawClear: [(u) => this.drawBand(u)],
        draw: [(u) => this.drawMarks(u)],
        setSelect: [(u) => this.takeSelection(u, events)],
        setCursor: [(u) => events.onHover(this.hoverText(u))],
      },
    };
  }

  // As wide as its widest label, so that none is cut; never narrower than usual, so that charts stand in line.
  private labelWidth(u: uPlot, labels: string[] | null): number {
    u.ctx.save();
    u.ctx.font = FONT;
    const widest = Math.max(0, ...(labels ?? []).map((label) => u.ctx.measureText(label).width));
    u.ctx.restore();
    return Math.max(40, Math.ceil(widest) + 8);
  }

  private takeSelection(u: uPlot, events: ChartEvents) {
    const { left, width } = u.select;
    if (width < 6) return;
    const from = u.posToVal(left, 'x') * 1000;
    const to = u.posToVal(left + width, 'x') * 1000;
    u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    if (to - from >= 1) events.onWindow(from, to);
  }

  private hoverText(u: uPlot): string {
    const index = u.cursor.idx;
    if (index === null || index === undefined) return '';
    const time = this.input.series.times[index];
    const value = this.input.series.values[index];
    if (time === undefined || value === null || value === undefined) return '';
    return `${axisText(time, 1)}  ${formatNumber(value)}`;
  }

  private drawBand(u: uPlot) {
    const { low, high } = this.input;
    const { ctx, bbox } = u;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    if (low !== null && high !== null) {
      const top = u.valToPos(high, 'y', true);
      ctx.fillStyle = this.colors.band;
      ctx.fillRect(bbox.left, top, bbox.width, u.valToPos(low, 'y', true) - top);
    }
    this.drawBad(u);
    ctx.restore();
  }

  // Bad samples: slanted lines over the whole height, so that no colour is needed.
  private drawBad(u: uPlot) {
    const { ctx, bbox } = u;
    const ratio = uPlot.pxRatio;
    for (const [from, to] of this.input.bad) {
      const left = u.valToPos(from / 1000, 'x', true);
      const right = Math.max(u.valToPos(to / 1000, 'x', true), left + 2 * ratio);
      ctx.save();
      ctx.beginPath();
      ctx.rect(left, bbox.top, right - left, bbox.height);
      ctx.clip();
      ctx.strokeStyle = this.colors.soft;
      ctx.lineWidth = ratio * 0.8;
      ctx.beginPath();
      for (let x = left - bbox.height; x < right; x += 7 * ratio) {
        ctx.moveTo(x, bbox.top + bbox.height);
        ctx.lineTo(x + bbox.height, bbox.top);
      }
      ctx.stroke();
      ctx.restore();
    }
  }

  private drawMarks(u: uPlot) {
    const { ctx, bbox } = u;
    const ratio = uPlot.pxRatio;
    ctx.save();
    ctx.font = FONT.replace(/^(\d+)px/, (_, px: string) => `${Number(px) * ratio}px`);
    // The most urgent first: a label that would lie on one of them is left out, its line stays.
    const taken: [number, number][] = [];
    for (const mark of [...this.input.marks].sort((a, b) => (a.priority ?? 9) - (b.priority ?? 9) || a.time - b.time)) {
      if (mark.time < this.input.from || mark.time > this.input.to) continue;
      const x = Math.round(u.valToPos(mark.time / 1000, 'x', true));
      ctx.strokeStyle = ctx.fillStyle = mark.priority ? this.colors[PRIORITY_COLOR[mark.priority]] : this.colors.soft;
      ctx.lineWidth = ratio;
      ctx.setLineDash([4 * ratio, 3 * ratio]);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      const wide = ctx.measureText(mark.label).width + 8 * ratio;
      const left = x + wide > bbox.left + bbox.width ? x - wide : x;
      if (taken.some(([from, to]) => left < to && left + wide > from)) continue;
      taken.push([left, left + wide]);
      ctx.textAlign = 'left';
      ctx.fillText(mark.label, left + 4 * ratio, bbox.top - 3 * ratio);
    }
    ctx.restore();
  }

  private bindPan(events: ChartEvents) {
    const over = this.plot.over;
    let start: { x: number; from: number; to: number } | null = null;
    const window = () => ({ from: this.input.from, to: this.input.to });
    const moved = (x: number, from: { x: number; from: number; to: number }) => {
      const shift = ((from.x - x) / Math.max(1, over.clientWidth)) * (from.to - from.from);
      return { from: from.from + shift, to: from.to + shift };
    };
    over.addEventListener('pointerdown', (event) => {
      if (!event.shiftKey && event.pointerType === 'mouse') return;
      start = { x: event.clientX, ...window() };
      over.setPointerCapture(event.pointerId);
    });
    over.addEventListener('pointermove', (event) => {
      if (!start) return;
      const next = moved(event.clientX, start);
      this.plot.setScale('x', { min: next.from / 1000, max: next.to / 1000 });
    });
    const end = (event: PointerEvent) => {
      if (!start) return;
      const next = moved(event.clientX, start);
      const far = Math.abs(event.clientX - start.x) > 4;
      start = null;
      if (far) events.onWindow(next.from, next.to);
    };
    over.addEventListener('pointerup', end);
    over.addEventListener('pointercancel', () => (start = null));
    over.addEventListener(
      'wheel',
      (event) => {
        if (Math.abs(event.deltaX) <= Math.abs(event.deltaY)) return;
        event.preventDefault();
        const { from, to } = window();
        const shift = (event.deltaX / Math.max(1, over.clientWidth)) * (to - from);
        events.onWindow(from + shift, to + shift);
      },
      { passive: false },
    );
  }
}

function decimalsFor(splits: readonly number[]): number {
  const step = Math.abs((splits[1] ?? 1) - (splits[0] ?? 0));
  if (step === 0 || !Number.isFinite(step)) return 1;
  let digits = 0;
  while (digits < 4 && Math.abs(step * 10 ** digits - Math.round(step * 10 ** digits)) > 1e-6 * 10 ** digits) digits++;
  return digits;
}
