// The first screen: is anything wrong, what do I do first, what did it cost.
import { useMemo, useState } from 'react';
import { api, type Alarm, type Point } from '../api';
import { AlarmCard } from '../components/alarm_card';
import { GateBar } from '../components/gate_bar';
import { KpiTile } from '../components/kpi_tile';
import { MachineCard } from '../components/machine_card';
import { Empty, Loading, ProblemNote } from '../components/problem';
import { Header } from '../components/shell';
import { TextTrend } from '../components/text_trend';
import { Trend } from '../components/trend';
import { useResource } from '../data/cache';
import { useOpenAlarms } from '../hooks';
import { isActive, isUnacknowledged } from '../lib/alarms';
import { linesOf, wayTo } from '../lib/assets';
import { headline, periodLabel } from '../lib/kpis';
import { marksOf } from '../lib/marks';
import { evidencePoint, isWaveform, rateBand, shortName } from '../lib/points';
import { arrows, words } from '../lib/format';
import { assetHref, gateHref, Link } from '../router';

const CARDS = 6;

function DoFirst() {
  const { alarms, loaded } = useOpenAlarms();
  const shown = alarms.slice(0, CARDS);
  const cleared = alarms.length - shown.length;
  return (
    <section className="stack" aria-label="Do first">
      <h2>Do first</h2>
      {!loaded && <Loading lines={5} label="Loading alarms" />}
      {loaded && alarms.length === 0 && <Empty title="Nothing to act on">The plant runs in its normal bands. A new alarm comes in here by itself.</Empty>}
      {shown.map((alarm, index) => (
        <AlarmCard key={alarm.id} alarm={alarm} full={isUnacknowledged(alarm) && index < 2} />
      ))}
      {cleared > 0 && <Link href="/alarms">all {alarms.length} open alarms</Link>}
    </section>
  );
}

// The trend that matters now: what the most urgent alarm names, until somebody picks a point.
function defaultPoint(points: readonly Point[], alarms: readonly Alarm[]): Point | null {
  return evidencePoint(points, alarms.filter(isActive)) ?? points.find(isWaveform) ?? points.find((p) => p.type !== 'boolean') ?? null;
}

function Machines() {
  const assets = useResource('assets', () => api.assets(), 10_000);
  const points = useResource('points/spark', () => api.points({ spark: 1 }), 30_000);
  const { alarms } = useOpenAlarms();
  const [selected, setSelected] = useState<string | null>(null);
  const lines = useMemo(() => linesOf(assets.data?.items ?? []), [assets.data]);
  const all = useMemo(() => points.data?.items ?? [], [points.data]);
  const point = all.find((p) => p.path === selected) ?? defaultPoint(all, alarms);
  const marks = useMemo(() => marksOf(alarms, point?.thing), [alarms, point?.thing]);
  const band = useMemo(() => (point ? rateBand(alarms.filter((a) => a.thing === point.thing), point.property) : null), [alarms, point]);
  const select = useMemo(() => (p: Point) => setSelected(p.path), []);
  if (!assets.data || !points.data)
    return (
      <section className="stack">
        <h2>Machines</h2>
        {assets.problem || points.problem ? <ProblemNote problem={assets.problem ?? points.problem} retry={assets.reload} /> : <Loading lines={12} label="Loading machines" />}
      </section>
    );
  const titleOfPoint = point ? `${all.length && assets.data.items.find((a) => a.thing === point.thing)?.title || point.thing}, ${shortName(words(point.property))}` : '';
  return (
    <section className="stack" aria-label="Machines">
      {lines.length === 0 && <Empty title="No machine yet">Put a Thing Description into the site folder&apos;s things/ and it appears here; penstock check explains mistakes.</Empty>}
      {lines.map((line) => (
        <div className="stack" key={line.path}>
          <h2>
            <Link href={assetHref(line.path)} className="plain">
              {line.title}
            </Link>
          </h2>
          <div className="machines">
            {line.machines.map((machine) => (
              <MachineCard key={machine.path} asset={machine} points={all.filter((p) => p.thing === machine.thing)} alarms={alarms.filter((a) => a.thing === machine.thing)} selected={point?.path ?? null} onSelect={select} limit={line.machines.length > 4 ? 3 : 4} />
            ))}
          </div>
        </div>
      ))}
      {point?.type === 'string' && <TextTrend key={point.path} path={point.path} title={titleOfPoint} />}
      {point && point.type !== 'string' && <Trend key={point.path} path={point.path} title={titleOfPoint} waveform={isWaveform(point)} marks={marks} rateBand={band} />}
    </section>
  );
}

function Value() {
  const kpis = useResource('kpis', () => api.kpis(), 10_000);
  const cases = useResource('usecases', () => api.useCases(), 15_000);
  const shown = headline(kpis.data?.items ?? []);
  const first = cases.data?.items[0];
  const gate = first?.gates.find((g) => !g.open) ?? first?.gates[0];
  return (
    <section className="stack" aria-label="Value">
      <h2>Value{shown[0] ? `, ${periodLabel(shown[0])}` : ''}</h2>
      <div className="panel">
        {!kpis.data && (kpis.problem ? <ProblemNote problem={kpis.problem} retry={kpis.reload} /> : <Loading lines={8} label="Loading figures" />)}
        {kpis.data && shown.length === 0 && <Empty title="No figure yet">KPIs come with the first machine states and verdicts.</Empty>}
        {shown.map((kpi) => (
          <KpiTile key={`${kpi.name}/${kpi.asset}`} kpi={kpi} all={kpis.data?.items ?? []} />
        ))}
      </div>
      {first && gate && (
        <>
          <h2>Use case: {first.title}</h2>
          <div className="panel" data-gate={gate.name} data-hold={gate.hold}>
            <h3>
              <Link href={gateHref(first.name, gate.name)} className="plain">
                {gate.name}, {arrows(gate.title)}
              </Link>
            </h3>
            <GateBar hold={gate.hold} of={gate.of} />
            <OpenChecks useCase={first.name} gate={gate.name} hold={gate.hold} of={gate.of} />
          </div>
        </>
      )}
    </section>
  );
}

function OpenChecks({ useCase, gate, hold, of }: { useCase: string; gate: string; hold: number; of: number }) {
  const { data } = useResource(`usecase/${useCase}/${gate}`, () => api.gate(useCase, gate), 15_000);
  const open = (data?.checks ?? []).filter((check) => check.state !== 'ok');
  const few = open.slice(0, 3).map((check) => check.title);
  return (
    <p className="flow">
      {hold} of {of} hold.
      {few.length > 0 && ` Open: ${few.join(', ')}${open.length > few.length ? ` and ${open.length - few.length} more` : ''}.`}
    </p>
  );
}

export default function PlantPage() {
  const assets = useResource('assets', () => api.assets(), 10_000);
  const lines = linesOf(assets.data?.items ?? []);
  const only = lines.length === 1 ? lines[0] : undefined;
  const way = only ? wayTo(only.path, assets.data?.items ?? []).map((step) => ({ text: step.text })) : [];
  return (
    <>
      <Header way={way} title={only?.title ?? 'Plant'} />
      <main id="main" className="plant">
        <DoFirst />
        <Machines />
        <Value />
      </main>
    </>
  );
}
