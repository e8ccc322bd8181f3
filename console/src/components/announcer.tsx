// Speaks a new alarm to screen readers, and shows it for a moment to those who are on another page.
import { useEffect, useState } from 'react';
import type { Alarm } from '../api';
import { announcement } from '../lib/alarms';
import { useLive } from '../live/store';
import { alarmHref, Link, usePath } from '../router';
import { alarmClass } from './alarm_card';
import { PriorityMark } from './priority';

const SHOWN_MS = 12_000;

export function Announcer() {
  const news = useLive((s) => s.news);
  const path = usePath();
  const [shown, setShown] = useState<Alarm | null>(null);
  useEffect(() => {
    if (!news) return;
    setShown(news.alarm);
    const timer = window.setTimeout(() => setShown(null), SHOWN_MS);
    return () => window.clearTimeout(timer);
  }, [news]);
  const elsewhere = shown && path !== '/' && path !== '/alarms' && path !== alarmHref(shown.id);
  return (
    <>
      <div className="hidden" aria-live={news?.alarm.priority === 1 ? 'assertive' : 'polite'} aria-atomic="true">
        {news ? announcement(news.alarm) : ''}
      </div>
      {elsewhere && (
        <div className={`toast ${alarmClass(shown)}`}>
          <PriorityMark priority={shown.priority} />
          <Link href={alarmHref(shown.id)}>{shown.title}</Link>
          <button type="button" className="quiet" onClick={() => setShown(null)} aria-label="Hide this note">
            ✕
          </button>
        </div>
      )}
    </>
  );
}
