// Points of text over time: stretches in which one text was said, out of a trend's rows.
import type { TextTrendRow } from '../api';

export interface TextSpan {
  from: number;
  to: number;
  text: string | null; // Null: nothing good was said.
  samples: number; // So that a bucket in which much was said is not mistaken for one state.
}

// A row tells the first and the last text of its bucket; what was said between is counted alone. The last stretch
// goes on to `end`.
export function textSpans(rows: readonly TextTrendRow[], end: number): TextSpan[] {
  const spans: TextSpan[] = [];
  const say = (from: number, text: string | null, samples: number) => {
    const last = spans.at(-1);
    if (last && last.text === text) {
      last.samples += samples;
      return;
    }
    if (last) last.to = from;
    spans.push({ from, to: end, text, samples });
  };
  for (const [from, first, , , last, count, bad] of rows) {
    if (count > bad || first !== null) {
      say(from, first, count);
      if (last !== first) say(from, last, 0);
    } else {
      say(from, null, count);
    }
  }
  return spans.filter((span) => span.to >= span.from);
}

// Each text's place in the order of coming, so that one text always looks the same.
export function textOrder(spans: readonly TextSpan[]): Map<string, number> {
  const order = new Map<string, number>();
  for (const { text } of spans) if (text !== null && !order.has(text)) order.set(text, order.size);
  return order;
}

// On one line, and not longer than a line.
export function textLine(text: string | null, most = 120): string {
  if (text === null) return 'bad quality';
  const line = text.replace(/\s+/g, ' ').trim();
  if (line === '') return 'empty';
  return line.length > most ? `${line.slice(0, most - 1)}…` : line;
}
