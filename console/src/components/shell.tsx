// The frame of every page: sections, header, the connection's state, announcements, shortcuts.
import { useState, type ReactNode } from 'react';
import { api } from '../api';
import { useOpenAlarms, useTitle } from '../hooks';
import { isUnacknowledged } from '../lib/alarms';
import { formatCount, formatNumber } from '../lib/format';
import { useLive } from '../live/store';
import { Link, usePath } from '../router';
import { useSession } from '../session';
import { nextTheme, setTheme, useTheme } from '../theme';
import { Announcer } from './announcer';
import { ConnectionNote } from './connection_note';
import { Shortcuts } from './shortcuts';

export const SECTIONS = [
  { href: '/', title: 'Plant', key: 'p', also: '/assets' },
  { href: '/alarms', title: 'Alarms', key: 'a', also: '/traces' },
  { href: '/data', title: 'Data', key: 'd' },
  { href: '/models', title: 'Models', key: 'm' },
  { href: '/usecases', title: 'Use cases', key: 'u' },
  { href: '/value', title: 'Value', key: 'v' },
  { href: '/trust', title: 'Trust', key: 't' },
] as const;

function isOn(section: (typeof SECTIONS)[number], path: string): boolean {
  if (section.href === '/') return path === '/' || path.startsWith('/assets');
  return path.startsWith(section.href) || ('also' in section && path.startsWith(section.also));
}

export function Shell({ children }: { children: ReactNode }) {
  return (
    <div className="app">
      <a className="skip" href="#main">
        Skip to the content
      </a>
      <Nav />
      <div className="page">
        <ConnectionNote />
        {children}
      </div>
      <Announcer />
      <Shortcuts />
    </div>
  );
}

function Nav() {
  const path = usePath();
  const [open, setOpen] = useState(false);
  const { alarms } = useOpenAlarms();
  const toAct = alarms.filter(isUnacknowledged).length;
  return (
    <nav aria-label="Sections" className={open ? 'open' : ''}>
      <div className="brand">
        <svg width="20" height="20" viewBox="0 0 20 20" aria-hidden="true">
          <path d="M2 4h6l4 12h6" fill="none" stroke="currentColor" strokeWidth="3" />
          <path d="M10 1v6" stroke="currentColor" strokeWidth="3" />
        </svg>
        Penstock
      </div>
      {toAct > 0 && (
        <Link href="/alarms" className="nav-alarms" aria-label={`${toAct} alarms to act on`}>
          <b>▲ {toAct}</b>
        </Link>
      )}
      <button type="button" className="menu" aria-expanded={open} onClick={() => setOpen(!open)}>
        {open ? 'Close' : 'Menu'}
      </button>
      <div className="sections">
        {SECTIONS.map((section) => {
          const on = isOn(section, path);
          return (
            <Link key={section.href} href={section.href} className={on ? 'on' : ''} aria-current={on ? 'page' : undefined} onClick={() => setOpen(false)}>
              {section.title}
              {section.href === '/alarms' && toAct > 0 && <b aria-label={`${toAct} to act on`}>{toAct}</b>}
            </Link>
          );
        })}
        <Foot />
      </div>
    </nav>
  );
}

const THEME_WORD = { system: 'system', light: 'light', dark: 'dark' } as const;

function Foot() {
  const { session, leave } = useSession();
  const overview = useLive((s) => s.overview);
  const speed = useLive((s) => s.plant?.speed) ?? session.speed;
  const theme = useTheme();
  return (
    <div className="foot">
      <span>node {session.node}</span>
      {typeof overview?.log_durable_ms === 'number' && <span>log durable in {formatNumber(overview.log_durable_ms)} ms</span>}
      {overview && <span>hub: {overview.hub}</span>}
      {speed !== 1 && <span>plant time ×{formatCount(speed)}</span>}
      <span>
        {session.user?.name}, {session.user?.role}
      </span>
      <button type="button" className="link" onClick={() => setTheme(nextTheme(theme))}>
        Colours: {THEME_WORD[theme]}
      </button>
      <button type="button" className="link" onClick={() => window.dispatchEvent(new Event('penstock-shortcuts'))}>
        Keys: ?
      </button>
      <button type="button" className="link" onClick={() => void api.logOut().finally(leave)}>
        Sign out
      </button>
    </div>
  );
}

// Title line with the way to it, and the few facts that matter on every page.
export function Header({ way = [], title, compact = false }: { way?: { text: string; href?: string }[]; title: string; compact?: boolean }) {
  useTitle(title);
  const speed = useLive((s) => s.plant?.speed) ?? 1;
  return (
    <header className={compact ? 'compact' : ''}>
      <div className="crumb">
        {way.map((step, index) => (
          <span key={index}>
            {step.href ? (
              <Link href={step.href} className="plain">
                {step.text}
              </Link>
            ) : (
              step.text
            )}{' '}
            /{' '}
          </span>
        ))}
        <h1>{title}</h1>
        {speed !== 1 && <small className="speed">plant time ×{formatCount(speed)}</small>}
      </div>
      <Facts />
    </header>
  );
}

export function Facts() {
  const overview = useLive((s) => s.overview);
  if (!overview) return <div className="facts" />;
  const o = overview;
  return (
    <div className="facts">
      <span>
        <b>{formatCount(o.to_act)}</b> to act on
      </span>
      <span>
        <b>{formatCount(o.shelved)}</b> shelved
      </span>
      {o.alarms_per_hour !== null && (
        <span>
          <b>{formatNumber(o.alarms_per_hour, 1)}</b> alarms/h of {formatCount(o.alarms_per_hour_limit)}
        </span>
      )}
      {o.samples_per_s !== null && (
        <span>
          <b>{formatCount(o.samples_per_s)}</b> samples/s
        </span>
      )}
      <span>
        <b>{formatCount(o.lost)}</b> lost, <b>{formatCount(o.quarantined)}</b> in quarantine
      </span>
    </div>
  );
}
