// What came in, what is made of it and whether it can be believed: points, data products and their contracts, what was
// refused, the book of every sample, the devices.
import { api, type Contract, type Device, type Point, type Product } from '../api';
import { ReadingText, useReading } from '../components/point_row';
import { ContractLinks } from '../components/contract_links';
import { EdgesView } from '../components/edges';
import { Loading, ProblemNote } from '../components/problem';
import { QuarantineView } from '../components/quarantine';
import { Header } from '../components/shell';
import { SqlBox } from '../components/sql_box';
import { ListTable, type Column } from '../components/table';
import { Tabs } from '../components/tabs';
import { TimeText } from '../components/time_text';
import { useResource } from '../data/cache';
import { formatBytes, formatCount, formatPlain, unitText } from '../lib/format';
import { isWaveform, qualityText } from '../lib/points';
import { accessText, freshnessText } from '../lib/products';
import { assetHref, contractHref, Link, productHref } from '../router';

const TABS = [
  { href: '/data', title: 'Points' },
  { href: '/data/products', title: 'Products' },
  { href: '/data/contracts', title: 'Contracts' },
  { href: '/data/sql', title: 'SQL' },
  { href: '/data/devices', title: 'Devices' },
  { href: '/data/edges', title: 'Edges' },
  { href: '/data/quarantine', title: 'Quarantine' },
  { href: '/data/ledger', title: 'Ledger' },
];

export default function DataPage({ tab }: { tab: string }) {
  return (
    <>
      <Header title="Data" />
      <main id="main" className="stack pad">
        <Tabs label="Data" tabs={TABS} />
        <Tab tab={tab} />
      </main>
    </>
  );
}

function Tab({ tab }: { tab: string }) {
  switch (tab) {
    case 'products':
      return <Products />;
    case 'contracts':
      return <Contracts />;
    case 'sql':
      return <SqlBox first="SHOW TABLES" />;
    case 'quarantine':
      return <QuarantineView />;
    case 'ledger':
      return <LedgerView />;
    case 'edges':
      return <EdgesView />;
    case 'devices':
      return <Devices />;
    default:
      return <Points />;
  }
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

const PRODUCT_COLUMNS: Column<Product>[] = [
  {
    title: 'Product',
    whole: true,
    show: (p) => (
      <>
        <Link href={productHref(p.name)}>
          <b>{p.name}</b>
        </Link>
        {p.title !== p.name && <span className="soft"> {p.title}</span>}
      </>
    ),
  },
  { title: 'Domain', whole: true, show: (p) => p.domain ?? 'not said' },
  { title: 'Owner', whole: true, show: (p) => p.owner ?? p.team ?? 'nobody yet' },
  { title: 'Newest', whole: true, show: (p) => freshnessText(p) },
  { title: 'Contracts', show: (p) => <ContractLinks contracts={p.contracts} /> },
  { title: 'Access', whole: true, show: (p) => accessText(p) },
  { title: 'Points', num: true, show: (p) => formatCount(p.points) },
  { title: 'Samples', num: true, show: (p) => formatCount(p.rows) },
  { title: 'Size', num: true, show: (p) => formatBytes(p.bytes) },
];

function Products() {
  const list = useResource('products', () => api.products(), 10_000);
  return <ListTable list={list} columns={PRODUCT_COLUMNS} rowKey={(p) => p.name} empty="No data product" hint="Every Thing Model with points is one; a contract gives it an owner and promises." />;
}

const CONTRACT_COLUMNS: Column<Contract>[] = [
  {
    title: 'Contract',
    whole: true,
    show: (c) => (
      <Link href={contractHref(c.id)}>
        <b>{c.id}</b>
      </Link>
    ),
  },
  { title: 'Version', whole: true, show: (c) => c.version },
  { title: 'Status', whole: true, show: (c) => c.status },
  { title: 'Domain', show: (c) => c.domain || 'not said' },
  { title: 'Owner', whole: true, show: (c) => c.owner || c.team || 'nobody yet' },
  { title: 'Made from', whole: true, show: (c) => c.thing_model || 'by hand' },
  { title: 'Fields', num: true, show: (c) => formatCount(c.fields) },
  { title: 'Points', num: true, show: (c) => formatCount(c.points) },
  { title: 'File', show: (c) => <code>{c.file}</code> },
];

function Contracts() {
  const list = useResource('contracts', () => api.contracts(), 20_000);
  return <ListTable list={list} columns={CONTRACT_COLUMNS} rowKey={(c) => c.id} empty="No contract" hint="penstock contract generate makes one from a Thing Model, as contracts/NAME.odcs.yaml in the site folder." />;
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

const LEDGER = [
  ['produced', 'produced'],
  ['stored', 'stored'],
  ['forwarded', 'forwarded to the hub'],
  ['evicted', 'evicted by retention'],
  ['quarantined', 'in quarantine'],
  ['duplicates', 'came again'],
  ['refused', 'refused'],
  ['pending', 'on its way'],
] as const;

function LedgerView() {
  const { data, problem, loading, reload } = useResource('ledger', () => api.ledger(), 3000);
  if (!data) return loading ? <Loading lines={5} /> : <ProblemNote problem={problem} retry={reload} />;
  return (
    <div className="panel narrow">
      <h2>Every sample is somewhere</h2>
      <p className="soft">Produced is the sum of all below it. What is missing is the gap, and it has to be 0.</p>
      <table className="ledger">
        <tbody>
          {LEDGER.map(([key, name]) => (
            <tr key={key}>
              <th scope="row">{name}</th>
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
