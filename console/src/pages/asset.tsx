// One asset: a machine with its points, trend, states, alarms and Thing Description; or a line with what stands in it.
import { useMemo, useState } from 'react';
import { api, type Asset, type Point } from '../api';
import { AlarmCard } from '../components/alarm_card';
import { Empty, Loading, ProblemNote } from '../components/problem';
import { PointsTable } from '../components/points_table';
import { Header } from '../components/shell';
import { StatesBar } from '../components/states_bar';
import { TextTrend } from '../components/text_trend';
import { Trend } from '../components/trend';
import { useResource } from '../data/cache';
import { byUrgency, isActive, isOpen } from '../lib/alarms';
import { parentOf, runs, titleOf, wayTo } from '../lib/assets';
import { plural, words } from '../lib/format';
import { marksOf } from '../lib/marks';
import { evidencePoint, isWaveform, rateBand, shortName, tellsState } from '../lib/points';
import { alarmHref, assetHref, Link } from '../router';
import { MachineList } from '../components/machine_list';

export default function AssetPage({ path }: { path: string }) {
  const { data, problem, loading, reload } = useResource('assets', () => api.assets(), 10_000);
  const assets = data?.items ?? [];
  const asset = assets.find((a) => a.path === path);
  const below = assets.filter((a) => parentOf(a.path) === path);
  const exists = asset !== undefined || assets.some((a) => a.path.startsWith(`${path}/`));
  const way = wayTo(path, assets).map((step) => ({ text: step.text, ...(step.path ? { href: assetHref(step.path) } : {}) }));
  return (
    <>
      <Header way={way} title={titleOf(path, assets)} />
      <main id="main" className="stack pad">
        {!data && (loading ? <Loading lines={10} /> : <ProblemNote problem={problem} retry={reload} />)}
        {data && !exists && (
          <Empty title="No such asset">
            Nothing in this site has the path {path}. <Link href="/">Back to the plant</Link>
          </Empty>
        )}
        {asset?.thing && <Machine asset={asset} thing={asset.thing} />}
        {below.length > 0 && <MachineList title="In here" assets={below} />}
      </main>
    </>
  );
}

function Machine({ asset, thing }: { asset: Asset; thing: string }) {
  const points = useResource(`points/spark/${thing}`, () => api.points({ thing, spark: 1 }), 20_000);
  const alarms = useResource(`alarms/of/${thing}`, () => api.alarms({ state: 'all', thing }), 15_000);
  const [selected, setSelected] = useState<string | null>(null);
  const list = useMemo(() => points.data?.items ?? [], [points.data]);
  const all = useMemo(() => alarms.data?.items ?? [], [alarms.data]);
  const point: Point | undefined = list.find((p) => p.path === selected) ?? evidencePoint(list, all.filter(isActive).sort(byUrgency)) ?? list.find(isWaveform) ?? list[0];
  const marks = useMemo(() => marksOf(all, thing), [all, thing]);
  const band = useMemo(() => (point ? rateBand(all, point.property) : null), [all, point]);
  const open = all.filter(isOpen).sort(byUrgency);
  const hasStates = tellsState(list);
  return (
    <div className="two asset">
      <div className="stack">
        <div className="panel">
          <div className="head">
            <h2>Points</h2>
            {hasStates && <span className="state">{asset.state}</span>}
          </div>
          {!points.data && (points.problem ? <ProblemNote problem={points.problem} retry={points.reload} /> : <Loading lines={8} />)}
          {points.data && <PointsTable points={list} runs={runs(asset.state)} alarms={open} selected={point?.path ?? null} onSelect={(p) => setSelected(p.path)} />}
        </div>
        {point?.type === 'string' && <TextTrend key={point.path} path={point.path} title={shortName(words(point.property))} />}
        {point && point.type !== 'string' && <Trend key={point.path} path={point.path} title={shortName(words(point.property))} waveform={isWaveform(point)} marks={marks} rateBand={band} />}
        {hasStates && <StatesBar asset={asset.path} />}
      </div>
      <div className="stack">
        <h2>Alarms</h2>
        {!alarms.data && <Loading lines={4} />}
        {alarms.data && all.length === 0 && <Empty title="No alarm so far">Nothing abnormal was seen on this machine.</Empty>}
        {open.slice(0, 4).map((alarm) => (
          <AlarmCard key={alarm.id} alarm={alarm} full={false} />
        ))}
        {all.length > open.length && <Past alarms={all.filter((a) => !isOpen(a))} />}
        <Description thing={thing} />
      </div>
    </div>
  );
}

function Past({ alarms }: { alarms: readonly { id: string; title: string; verdict: { kind: string } | null; superseded_by?: string | null }[] }) {
  return (
    <details className="panel">
      <summary>{plural(alarms.length, 'answered alarm')}</summary>
      <ul className="plain-list">
        {alarms.slice(0, 30).map((alarm) => (
          <li key={alarm.id}>
            <Link href={alarmHref(alarm.id)}>{alarm.id}</Link> {alarm.title}
            <span className="soft"> {alarm.verdict ? words(alarm.verdict.kind) : alarm.superseded_by ? `superseded by ${alarm.superseded_by}` : ''}</span>
          </li>
        ))}
      </ul>
    </details>
  );
}

function Description({ thing }: { thing: string }) {
  const [open, setOpen] = useState(false);
  return (
    <details className="panel" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>Thing Description</summary>
      {open && <DescriptionBody thing={thing} />}
    </details>
  );
}

function DescriptionBody({ thing }: { thing: string }) {
  const { data, problem, reload } = useResource(`thing/${thing}`, () => api.thing(thing));
  if (!data) return problem ? <ProblemNote problem={problem} retry={reload} /> : <Loading lines={6} />;
  return (
    <>
      <p className="soft">
        {data.file}, model {data.model || 'none'}, by {data.protocols.join(', ') || 'no protocol'}
      </p>
      <pre className="scroll" tabIndex={0} aria-label="Thing Description as JSON">
        {JSON.stringify(data.document, null, 2)}
      </pre>
    </>
  );
}
