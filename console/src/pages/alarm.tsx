// One alarm, as a technician needs it on a phone: what, where, since, why, how sure, what to do, how long there is;
// then the answer; then the evidence.
import { useMemo } from 'react';
import { api, type Alarm, type Point } from '../api';
import { AlarmActions } from '../components/alarm_actions';
import { alarmClass, SureText } from '../components/alarm_card';
import { Because } from '../components/because';
import { PriorityMark } from '../components/priority';
import { Loading, ProblemNote } from '../components/problem';
import { Header } from '../components/shell';
import { TimeText } from '../components/time_text';
import { Trend } from '../components/trend';
import { useResource } from '../data/cache';
import { usePlantNow } from '../hooks';
import { advice, leftText, secondsLeft, stateWord, verdictWord } from '../lib/alarms';
import { formatDuration, sentence, words } from '../lib/format';
import { marksOf } from '../lib/marks';
import { isWaveform, propertyOf, rateBand, shortName } from '../lib/points';
import { parseTime } from '../lib/time';
import { useLive } from '../live/store';
import { assetHref, Link, traceHref } from '../router';

export default function AlarmPage({ id }: { id: string }) {
  const { data, problem, loading, reload } = useResource(`alarm/${id}`, () => api.alarm(id));
  const newest = useLive((s) => s.alarms.get(id));
  const alarm = newest && data ? (newest.last_change >= data.last_change ? { ...data, ...newest } : data) : (data ?? newest);
  return (
    <>
      <Header way={[{ text: 'Alarms', href: '/alarms' }]} title={id} compact />
      <main id="main" className="alarm-page">
        {alarm ? <AlarmView alarm={alarm} /> : loading ? <Loading lines={10} label="Loading the alarm" /> : <ProblemNote problem={problem} retry={reload} />}
      </main>
    </>
  );
}

function AlarmView({ alarm }: { alarm: Alarm }) {
  return (
    <div className="two">
      <article className={`${alarmClass(alarm)} big`} data-alarm-page={alarm.id} data-state={alarm.state}>
        <div className="top">
          <PriorityMark priority={alarm.priority} />
          <span>{stateWord(alarm.state)}</span>
        </div>
        <h2 className="what">{alarm.title}</h2>
        <p className="do">{advice(alarm)}</p>
        <Where alarm={alarm} />
        <h3 className="label">Why</h3>
        <Because because={alarm.because} full limit={3} />
        <p className="sure">
          <SureText alarm={alarm} />
        </p>
        {alarm.verdict && <VerdictBox alarm={alarm} />}
        <AlarmActions alarm={alarm} page />
      </article>
      <Evidence alarm={alarm} />
    </div>
  );
}

function Where({ alarm }: { alarm: Alarm }) {
  const now = usePlantNow();
  const raised = parseTime(alarm.raised);
  const left = secondsLeft(alarm, now);
  return (
    <dl className="where">
      <div>
        <dt>Where</dt>
        <dd>
          <Link href={assetHref(alarm.asset)}>{alarm.asset_title || alarm.thing}</Link>
          <span className="soft">{alarm.asset}</span>
        </dd>
      </div>
      <div>
        <dt>Since</dt>
        <dd>
          <TimeText time={alarm.raised} />
          <span className="soft">{alarm.cleared_at ? <>cleared <TimeText time={alarm.cleared_at} /></> : raised !== null ? formatDuration((now - raised) / 1000) : ''}</span>
        </dd>
      </div>
      <div>
        <dt>Time there is</dt>
        <dd>
          {left === null ? (alarm.verdict ? 'answered' : alarm.cleared_at ? 'it has cleared' : 'none stated') : leftText(left)}
          {alarm.respond_within_s ? <span className="soft">of {formatDuration(alarm.respond_within_s)}</span> : null}
        </dd>
      </div>
    </dl>
  );
}

function VerdictBox({ alarm }: { alarm: Alarm }) {
  const verdict = alarm.verdict;
  if (!verdict) return null;
  return (
    <div className="verdict" data-verdict={verdict.kind}>
      <b>
        ✓ {sentence(verdictWord(verdict.kind))}
        {verdict.code && `: ${words(verdict.code)}`}
      </b>
      <span className="soft">
        {verdict.actor}, <TimeText time={verdict.at} />
      </span>
      {verdict.note && <p>“{verdict.note}”</p>}
    </div>
  );
}

const MINUTE = 60_000;

// Trends of what the model looked at, around the time the alarm was raised, and the history of the alarm itself.
function Evidence({ alarm }: { alarm: Alarm }) {
  const points = useResource(`points/${alarm.thing}`, () => api.points({ thing: alarm.thing }));
  const reasons = alarm.because.slice(0, 3);
  const names = [...new Set([...reasons.filter((c) => c.contribution > 0), ...reasons].map((c) => propertyOf(c.feature)))];
  const shown = names
    .map((name) => points.data?.items.find((p) => p.property === name))
    .filter((p): p is Point => p !== undefined)
    .slice(0, 2);
  const marks = useMemo(() => marksOf([alarm], alarm.thing), [alarm]);
  const bands = useMemo(() => new Map(alarm.because.map((c) => [propertyOf(c.feature), rateBand([alarm], propertyOf(c.feature))])), [alarm]);
  const raised = parseTime(alarm.raised) ?? 0;
  return (
    <section className="stack" aria-label="Evidence">
      <h2>Evidence</h2>
      {!points.data && <Loading lines={6} label="Loading trends" />}
      {shown.map((point) => (
        <Trend key={point.path} path={point.path} title={shortName(words(point.property))} waveform={isWaveform(point)} marks={marks} rateBand={bands.get(point.property) ?? null} height={150} start={{ kind: 'fixed', from: raised - 240 * MINUTE, to: raised + 30 * MINUTE }} />
      ))}
      <div className="panel">
        <h3>What happened to it</h3>
        <dl className="facts-list">
          <dt>Raised</dt>
          <dd>
            <TimeText time={alarm.raised} seconds />
          </dd>
          <dt>Seen</dt>
          <dd>
            <TimeText time={alarm.seen_at} seconds none="not yet" />
          </dd>
          <dt>Acknowledged</dt>
          <dd>
            <TimeText time={alarm.acknowledged_at} seconds none="not yet" /> {alarm.acknowledged_by}
          </dd>
          <dt>Cleared</dt>
          <dd>
            <TimeText time={alarm.cleared_at} seconds none="still active" />
          </dd>
          {alarm.shelved_until && (
            <>
              <dt>Shelved until</dt>
              <dd>
                <TimeText time={alarm.shelved_until} seconds />
              </dd>
            </>
          )}
          <dt>Chain</dt>
          <dd>
            <Link href={traceHref(alarm.trace)}>from the samples to the KPI</Link>
          </dd>
        </dl>
      </div>
    </section>
  );
}
