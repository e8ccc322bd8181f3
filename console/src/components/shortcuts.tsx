// Keys: "g" then a letter goes to a section, single letters act on the alarm page, "?" shows them. They can be
// switched off, and never act while somebody types.
import { useEffect, useState } from 'react';
import { navigate } from '../router';
import { nextTheme, setTheme } from '../theme';
import { Dialog } from './dialog';

const GO: Record<string, string> = { p: '/', a: '/alarms', d: '/data', m: '/models', u: '/usecases', v: '/value', t: '/trust' };
const ON_ALARM: Record<string, string> = { c: 'confirm', o: 'override', k: 'acknowledge', s: 'shelve' };
const STORED = 'penstock-keys';

const ROWS: [string, string][] = [
  ['?', 'show these keys'],
  ['g then p, a, d, m, u, v, t', 'go to Plant, Alarms, Data, Models, Use cases, Value, Trust'],
  ['1 to 9', 'open the n-th alarm of "Do first" or of the list'],
  ['c, o, k, s', 'on an alarm: confirm, override, acknowledge, shelve'],
  ['l', 'light, dark, as the system'],
  ['← → + - Home', 'in a trend: earlier, later, closer, wider, back to live'],
  ['Esc', 'close a dialog'],
];

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}

function stored(): boolean {
  try {
    return localStorage.getItem(STORED) !== 'off';
  } catch {
    return true;
  }
}

export function Shortcuts() {
  const [open, setOpen] = useState(false);
  const [on, setOn] = useState(stored);
  useEffect(() => {
    const show = () => setOpen(true);
    window.addEventListener('penstock-shortcuts', show);
    return () => window.removeEventListener('penstock-shortcuts', show);
  }, []);
  useEffect(() => {
    if (!on) return;
    let going = false;
    const press = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || document.querySelector('[role=dialog]')) return;
      const key = event.key;
      const target = going ? GO[key] : undefined;
      going = key === 'g' && !going;
      if (target) navigate(target);
      else if (key === '?') setOpen(true);
      else if (key === 'l') setTheme(nextTheme((document.documentElement.dataset['theme'] as 'light' | 'dark' | undefined) ?? 'system'));
      else if (/^[1-9]$/.test(key)) document.querySelectorAll<HTMLElement>('[data-alarm] h3 a')[Number(key) - 1]?.click();
      else if (ON_ALARM[key]) document.querySelector<HTMLElement>(`[data-alarm-page] [data-action=${ON_ALARM[key]}]`)?.click();
      else return;
      event.preventDefault();
    };
    window.addEventListener('keydown', press);
    return () => window.removeEventListener('keydown', press);
  }, [on]);
  const toggle = () => {
    try {
      localStorage.setItem(STORED, on ? 'off' : 'on');
    } catch {
      // Holds until the page is closed.
    }
    setOn(!on);
  };
  if (!open) return null;
  return (
    <Dialog title="Keys" onClose={() => setOpen(false)}>
      <dl className="keys">
        {ROWS.map(([keys, does]) => (
          <div key={keys}>
            <dt>
              <kbd>{keys}</kbd>
            </dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
      <label className="check">
        <input type="checkbox" checked={on} onChange={toggle} /> Single-key shortcuts are on
      </label>
    </Dialog>
  );
}
