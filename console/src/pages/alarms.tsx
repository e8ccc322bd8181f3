// All alarms: open ones by urgency, or the whole history, newest first.
import { useMemo, useState } from 'react';
import { api, type Alarm } from '../api';
import { AlarmStatus, alarmClass } from '../components/alarm_card';
import { More } from '../components/more';
import { PriorityMark } from '../components/priority';
import { Empty, Loading, ProblemNote } from '../components/problem';
import { Header } from '../components/shell';
import { useResource } from '../data/cache';
import { byUrgency } from '../lib/alarms';
import { formatNumber } from '../lib/format';
import { alarmHref, assetHref, Link, navigate, useSearch } from '../router';

export default function AlarmsPage() {
  const state = new URLSearchParams(useSearch()).get('state') === 'all' ? 'all' : 'open';
  const { data, problem, loading, reload } = useResource(`alarms/${state}`, () => api.alarms({ state }), 15_000);
  const [older, setOlder] = useState<Alarm[]>([]);
  const items = useMemo(() => {
    const first = data?.items ?? [];
    return state === 'open' ? [...first].sort(byUrgency) : [...first, ...older.filter((o) => !first.some((f) => f.id === o.id))];
  }, [data, older, state]);
  return (
    <>
      <Header title="Alarms" />
      <main id="main" className="stack pad">
        <div className="segmented" role="group" aria-label="Which alarms">
          <button type="button" aria-pressed={state === 'open'} onClick={() => navigate('/alarms')}>
            Open
          </button>
          <button type="button" aria-pressed={state === 'all'} onClick={() => navigate('/alarms?state=all')}>
            All
          </button>
        </div>
        {!data && loading && <Loading lines={8} label="Loading alarms" />}
        <ProblemNote problem={problem} retry={reload} />
        {data && items.length === 0 && (
          <Empty title={state === 'open' ? 'No open alarm' : 'No alarm so far'}>{state === 'open' ? 'Nothing is abnormal and every past alarm has its verdict.' : 'The first one appears here by itself.'}</Empty>
        )}
        <div className="alarm-list">
          {items.map((alarm) => (
            <AlarmLine key={alarm.id} alarm={alarm} />
          ))}
        </div>
        {state === 'all' && data && <More next={data.next} read={(after) => api.alarms({ state: 'all', after })} onMore={(list) => setOlder([...older, ...list])} />}
      </main>
    </>
  );
}

function AlarmLine({ alarm }: { alarm: Alarm }) {
  return (
    <article className={`${alarmClass(alarm)} line`} data-alarm={alarm.id} data-state={alarm.state}>
      <PriorityMark priority={alarm.priority} />
      <h3>
        <Link href={alarmHref(alarm.id)}>{alarm.title}</Link>
      </h3>
      <Link href={assetHref(alarm.asset)} className="plain soft">
        {alarm.asset_title || alarm.thing}
      </Link>
      <span className="soft status">
        <AlarmStatus alarm={alarm} />
      </span>
      <span className="soft">sure {formatNumber(alarm.confidence, 2)}</span>
      <span className="id">{alarm.id}</span>
    </article>
  );
}
