// Who sends to this node, and how far: the hub's edges with their certificates and gaps; on an edge, its own uplink.
import { useState, type FormEvent } from 'react';
import { api } from '../api';
import type { Edge, Invitation, Uplink } from '../api_edges';
import { invalidate, useResource } from '../data/cache';
import { useAction } from '../hooks';
import { edgeTotals } from '../lib/edges';
import { formatBytes, formatCount } from '../lib/format';
import { useMay } from '../session';
import { NameField } from './name_field';
import { Empty, Loading, ProblemNote } from './problem';
import { SureButton } from './sure_button';
import { ListTable, type Column } from './table';
import { TimeText } from './time_text';

const COLUMNS: Column<Edge>[] = [
  { title: 'Edge', show: (e) => <b>{e.name}</b> },
  { title: 'State', show: (e) => e.state },
  { title: 'Rows here', num: true, show: (e) => formatCount(edgeTotals(e).rows) },
  { title: 'Came again', num: true, show: (e) => formatCount(edgeTotals(e).again) },
  { title: 'Gaps', show: (e) => <Gaps edge={e} /> },
  { title: 'Valid until', show: (e) => <TimeText time={e.until} none="none" /> },
];

function Gaps({ edge }: { edge: Edge }) {
  const { gaps } = edgeTotals(edge);
  if (gaps.length === 0) return <>✓ none</>;
  return (
    <ul className="plain-list">
      {gaps.slice(0, 5).map((gap) => (
        <li key={`${gap.first}-${gap.at}`}>
          ✕ rows {formatCount(gap.first)} to {formatCount(gap.last)}: {gap.reason}
        </li>
      ))}
      {gaps.length > 5 && <li>and {gaps.length - 5} more</li>}
    </ul>
  );
}

function Invite() {
  const [name, setName] = useState('');
  const [made, setMade] = useState<Invitation | null>(null);
  const invite = useAction(async () => {
    setMade(await api.inviteEdge(name.trim()));
    setName('');
    invalidate('edges');
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void invite.run();
  };
  return (
    <form className="panel" onSubmit={submit}>
      <h2>Invite an edge</h2>
      <NameField label="Its name" pattern="[a-z0-9][a-z0-9\-]*" value={name} onChange={setName} />
      <ProblemNote problem={invite.problem} />
      {made && (
        <div className="made" role="status">
          <p>
            <b>Keep this as a file on {made.edge}, it is shown once and works once within 24 hours:</b>
          </p>
          <pre className="scroll">{JSON.stringify(made, null, 2)}</pre>
          <p>
            There: <code>penstock edge enroll FILE</code>
          </p>
        </div>
      )}
      <div className="acts one">
        <button type="submit" className="yes" disabled={invite.busy}>
          Invite
        </button>
      </div>
    </form>
  );
}

function HubView() {
  const list = useResource('edges', () => api.edges(), 5000);
  const admin = useMay('admin');
  if (list.problem?.status === 404)
    return (
      <Empty title="This node is no hub">
        An edge sends what it keeps to a hub: start one with penstock hub, then invite edges here.
      </Empty>
    );
  const revoke: Column<Edge> = {
    title: '',
    show: (e) => e.state !== 'revoked' && <SureButton verb="Shut out" what={e.name} action={() => api.revokeEdge(e.name)} onDone={() => invalidate('edges')} />,
  };
  return (
    <div className={admin ? 'two' : 'stack'}>
      <div className="stack">
        <ListTable list={list} columns={admin ? [...COLUMNS, revoke] : COLUMNS} rowKey={(e) => e.name} empty="No edge yet" hint="Invite one, or by hand: penstock hub enroll NAME." />
      </div>
      {admin && <Invite />}
    </div>
  );
}

function UplinkView({ uplink }: { uplink: Uplink }) {
  return (
    <div className="panel narrow">
      <h2>To the hub</h2>
      <dl className="facts-list">
        <dt>Hub</dt>
        <dd>{uplink.hub}</dd>
        <dt>State</dt>
        <dd>{uplink.connected ? '✓ connected' : `✕ not connected${uplink.error ? `: ${uplink.error}` : ''}`}</dd>
        <dt>Durable there until</dt>
        <dd>
          <TimeText time={uplink.last_durable} seconds none="nothing yet" />
        </dd>
        <dt>Waiting</dt>
        <dd>{formatCount(uplink.waiting_records)} records</dd>
        <dt>Sent</dt>
        <dd>
          {formatCount(uplink.rows.live)} rows live, {formatCount(uplink.rows.backfill)} backfilled, {formatBytes(uplink.bytes)}
        </dd>
        <dt>Lost</dt>
        <dd>{uplink.lost_rows === 0 ? '✓ none' : `✕ ${formatCount(uplink.lost_rows)} rows`}</dd>
      </dl>
    </div>
  );
}

export function EdgesView() {
  const uplink = useResource('uplink', () => api.uplink(), 3000);
  if (uplink.loading && !uplink.data) return <Loading lines={5} />;
  return uplink.data ? <UplinkView uplink={uplink.data} /> : <HubView />;
}
