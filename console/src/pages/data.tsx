// What came in, and whether it can be believed: points, what was refused, the book of every sample, the devices.
import { useState } from 'react';
import { api, type Device, type Point, type Quarantined } from '../api';
import { More } from '../components/more';
import { ReadingText, useReading } from '../components/point_row';
import { Loading, ProblemNote } from '../components/problem';
import { Header } from '../components/shell';
import { ListTable, type Column } from '../components/table';
import { Tabs } from '../components/tabs';
import { TimeText } from '../components/time_text';
import { useResource } from '../data/cache';
import { brief, formatCount, formatPlain, unitText } from '../lib/format';
import { isWaveform, qualityText } from '../lib/points';
import { assetHref, Link } from '../router';

const TABS = [
  { href: '/data', title: 'Points' },
  { href: '/data/devices', title: 'Devices' },
  { href: '/data/quarantine', title: 'Quarantine' },
  { href: '/data/ledger', title: 'Ledger' },
];

export default function DataPage({ tab }: { tab: string }) {
  return (
    <>
      <Header title="Data" />
      <main id="main" className="stack pad">
        <Tabs label="Data" tabs={TABS} />
        {tab === 'quarantine' ? <QuarantineList /> : tab === 'ledger' ? <LedgerView /> : tab === 'devices' ? <Devices /> : <Points />}
      </main>
    </>
  );
}

function PointValue({ point }: { point: Point }) {
  const reading = useReading(point);
  return (
    <b className={reading.stale ? 'stale' : ''}>
      <ReadingText point={point} reading={reading} />
    </b>
  );
}

function PointQuality({ point }: { point: Point }) {
  const reading = useReading(point);
  return <>{reading.stale ? 'stale' : qualityText(reading.quality)}</>;
}

const POINT_COLUMNS: Column<Point>[] = [
  { title: 'Point', show: (p) => <Link href={assetHref(p.asset)}>{p.path}</Link> },
  { title: 'Value', num: true, show: (p) => <PointValue point={p} /> },
  { title: 'Quality', show: (p) => <PointQuality point={p} /> },
  { title: 'Type', whole: true, show: (p) => (isWaveform(p) ? `waveform, ${formatCount(p.sample_rate_hz)} Hz` : p.type) },
  { title: 'Limits', whole: true, show: (p) => (p.minimum === null && p.maximum === null ? 'none' : `${p.minimum === null ? 'any' : formatPlain(p.minimum)} to ${p.maximum === null ? 'any' : formatPlain(p.maximum)} ${unitText(p.unit)}`) },
  { title: 'Last', whole: true, show: (p) => <TimeText time={p.time} seconds /> },
];

function Points() {
  const list = useResource('points/all', () => api.points(), 20_000);
  return <ListTable list={list} columns={POINT_COLUMNS} rowKey={(p) => p.path} empty="No points" hint="A Thing Description in the site folder's things/ brings its points." />;
}

const DEVICE_COLUMNS: Column<Device>[] = [
  { title: 'Device', whole: true, show: (d) => <b>{d.name}</b> },
  { title: 'Protocol', whole: true, show: (d) => d.protocol },
  { title: 'Address', whole: true, show: (d) => <code>{d.address}</code> },
  { title: 'State', whole: true, show: (d) => (d.state === 'connected' ? 'connected' : <b>{d.state === 'never' ? '○ never came' : '◌ retrying'}</b>) },
  { title: 'Since', whole: true, show: (d) => <TimeText time={d.since} /> },
  { title: 'Last seen', whole: true, show: (d) => <TimeText time={d.last_seen} seconds /> },
  { title: 'Samples', num: true, show: (d) => formatCount(d.samples) },
  { title: 'Errors', num: true, show: (d) => formatCount(d.errors) },
  { title: 'Last error', show: (d) => d.last_error || 'none' },
];

function Devices() {
  const list = useResource('devices', () => api.devices(), 10_000);
  return <ListTable list={list} columns={DEVICE_COLUMNS} rowKey={(d) => d.name} empty="No device" hint="Devices appear when a Thing Description names one, or when one connects by MQTT." />;
}

const QUARANTINE_COLUMNS: Column<Quarantined>[] = [
  { title: 'At', whole: true, show: (q) => <TimeText time={q.at} seconds /> },
  { title: 'Source', show: (q) => q.source },
  { title: 'Point', show: (q) => q.point || 'not known' },
  { title: 'Rule', show: (q) => q.rule },
  { title: 'Value', show: (q) => brief(q.value) },
  { title: 'Why', show: (q) => q.message },
];

function QuarantineList() {
  const list = useResource('quarantine', () => api.quarantine(), 10_000);
  const [older, setOlder] = useState<Quarantined[]>([]);
  return (
    <>
      <ListTable list={list} columns={QUARANTINE_COLUMNS} rowKey={(q, i) => `${q.at}${i}`} empty="Nothing in quarantine" hint="Samples that break a rule come here with the reason, instead of into the history." extra={older} />
      {list.data && <More next={list.data.next} read={(after) => api.quarantine(after)} onMore={(more) => setOlder([...older, ...more])} />}
    </>
  );
}

function LedgerView() {
  const { data, problem, loading, reload } = useResource('ledger', () => api.ledger(), 3000);
  if (!data) return loading ? <Loading lines={5} /> : <ProblemNote problem={problem} retry={reload} />;
  return (
    <div className="panel narrow">
      <h2>Every sample is somewhere</h2>
      <p className="soft">Produced = stored + in quarantine + on its way. What is missing is the gap, and it has to be 0.</p>
      <table className="ledger">
        <tbody>
          {(['produced', 'stored', 'quarantined', 'pending'] as const).map((key) => (
            <tr key={key}>
              <th scope="row">{key === 'quarantined' ? 'in quarantine' : key === 'pending' ? 'on its way' : key}</th>
              <td className="num">{formatCount(data[key])}</td>
            </tr>
          ))}
          <tr className="sum">
            <th scope="row">gap</th>
            <td className="num">
              <b>{data.gap === 0 ? '✓ 0' : `✕ ${formatCount(data.gap)}`}</b>
            </td>
          </tr>
        </tbody>
      </table>
    </div>
  );
}
