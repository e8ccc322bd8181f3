// Use cases with their gates; and one gate with its checks, each answered by a query, and its signature.
import { useState } from 'react';
import { api, type Gate, type GateCheck, type UseCase } from '../api';
import { GateBar } from '../components/gate_bar';
import { Empty, Loading, ProblemNote } from '../components/problem';
import { Header } from '../components/shell';
import { TimeText } from '../components/time_text';
import { invalidate, useResource } from '../data/cache';
import { useAction } from '../hooks';
import { arrows, brief, formatNumber, formatPlain, unitText, words } from '../lib/format';
import { gateHref, Link } from '../router';
import { useSession } from '../session';

export default function UseCasesPage() {
  const { data, problem, loading, reload } = useResource('usecases', () => api.useCases(), 15_000);
  return (
    <>
      <Header title="Use cases" />
      <main id="main" className="stack pad">
        {!data && (loading ? <Loading lines={8} /> : <ProblemNote problem={problem} retry={reload} />)}
        {data?.items.length === 0 && <Empty title="No use case">Write one into the site folder&apos;s usecases/: sponsor, KPI, value, what it needs.</Empty>}
        <div className="cards">
          {data?.items.map((useCase) => (
            <UseCaseCard key={useCase.name} useCase={useCase} />
          ))}
        </div>
      </main>
    </>
  );
}

// {"primary": "unplanned_downtime", "unit": "h/month", "target": "-30 %"} as a person says it.
function kpiLine(kpi: unknown): string {
  const { primary, unit, target } = (kpi ?? {}) as { primary?: string; unit?: string; target?: string };
  if (!primary) return brief(kpi);
  return `${words(primary)}${unit ? `, ${unitText(unit)}` : ''}${target ? `, target ${target}` : ''}`;
}

function UseCaseCard({ useCase }: { useCase: UseCase }) {
  return (
    <section className="panel" aria-label={useCase.title}>
      <h3>{useCase.title}</h3>
      <dl className="facts-list">
        <dt>Sponsor</dt>
        <dd>{useCase.sponsor}</dd>
        <dt>KPI</dt>
        <dd>{kpiLine(useCase.kpi)}</dd>
        <dt>Value</dt>
        <dd>{brief(useCase.value)}</dd>
      </dl>
      {useCase.gates.map((gate) => (
        <div key={gate.name} className="gate-line">
          <Link href={gateHref(useCase.name, gate.name)}>
            {gate.name}, {arrows(gate.title)}
          </Link>
          <GateBar hold={gate.hold} of={gate.of} />
          <span className="soft">
            {gate.open ? '✓ open' : 'blocked'}, {gate.hold} of {gate.of} hold
          </span>
        </div>
      ))}
    </section>
  );
}

export function GatePage({ useCase, gate }: { useCase: string; gate: string }) {
  const { data, problem, loading, reload } = useResource(`usecase/${useCase}/${gate}`, () => api.gate(useCase, gate), 10_000);
  const cases = useResource('usecases', () => api.useCases());
  const known = cases.data?.items.find((c) => c.name === useCase);
  return (
    <>
      <Header way={[{ text: 'Use cases', href: '/usecases' }, { text: known?.title ?? useCase }]} title={data ? `${data.gate}, ${arrows(data.title)}` : gate} />
      <main id="main" className="stack pad">
        {!data && (loading ? <Loading lines={10} /> : <ProblemNote problem={problem} retry={reload} />)}
        {data && <GateView gate={data} sponsor={known?.sponsor ?? 'sponsor'} />}
      </main>
    </>
  );
}

function GateView({ gate, sponsor }: { gate: Gate; sponsor: string }) {
  return (
    <>
      <div className="panel" data-gate={gate.gate} data-hold={gate.hold}>
        <div className="head">
          <h2>{gate.state === 'open' ? '✓ Open: every check holds' : `Blocked: ${gate.hold} of ${gate.of} hold`}</h2>
        </div>
        <GateBar hold={gate.hold} of={gate.of} />
      </div>
      <div className="checks">
        {gate.checks.map((check) => (
          <CheckRow key={check.id} check={check} />
        ))}
      </div>
      <Sign gate={gate} sponsor={sponsor} />
    </>
  );
}

// What a query found; whole numbers are counts.
function measured(value: unknown): string {
  if (typeof value !== 'number' || Number.isInteger(value)) return formatPlain(value);
  const magnitude = Math.abs(value);
  return formatNumber(value, magnitude < 1 ? 3 : magnitude < 1000 ? 1 : 0);
}

function CheckRow({ check }: { check: GateCheck }) {
  const ok = check.state === 'ok';
  return (
    <article className={ok ? 'check-row' : 'check-row blocked'} data-check={check.id} data-state={check.state}>
      <span className="verdict-word">{ok ? '✓ holds' : '✕ blocked'}</span>
      <div>
        <h3>
          <span className="soft">{check.id}</span> {check.title}
        </h3>
        <p>{check.text}</p>
        {!ok && check.fix && (
          <p>
            <b>What to do:</b> {check.fix}
          </p>
        )}
        {check.query && (
          <details>
            <summary>The query that answered</summary>
            <pre className="scroll" tabIndex={0}>
              {check.query}
            </pre>
          </details>
        )}
      </div>
      <dl className="check-value">
        {(check.value !== null || !ok) && (
          <div>
            <dt>value</dt>
            <dd>{check.value === null ? 'missing' : measured(check.value)}</dd>
          </div>
        )}
        {check.limit !== null && (
          <div>
            <dt>limit</dt>
            <dd>{formatPlain(check.limit)}</dd>
          </div>
        )}
        {check.since && (
          <div>
            <dt>since</dt>
            <dd>
              <TimeText time={check.since} />
            </dd>
          </div>
        )}
      </dl>
    </article>
  );
}

function Sign({ gate, sponsor }: { gate: Gate; sponsor: string }) {
  const { session } = useSession();
  const [note, setNote] = useState('');
  const { run, busy, problem } = useAction(async () => {
    await api.sign(gate.usecase, gate.gate, { as: sponsor, note: note.trim() });
    invalidate('usecase');
    setNote('');
  });
  const may = session.user?.role === 'admin' || session.user?.role === (sponsor as string) || (session.user?.titles ?? []).includes(sponsor);
  return (
    <div className="panel narrow">
      <h2>Sign as {sponsor}</h2>
      {!may && <p className="soft">Only who holds the title {sponsor} signs; an administrator while nobody holds it.</p>}
      {may && (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            void run();
          }}
        >
          <label className="field">
            <span>Why you carry it</span>
            <input required value={note} maxLength={500} onChange={(event) => setNote(event.target.value)} placeholder="for example: worth a pilot on line 1" />
          </label>
          <ProblemNote problem={problem} />
          <div className="acts one">
            <button type="submit" className="yes" disabled={busy || note.trim() === ''} data-action="sign">
              {busy ? 'Signing …' : 'Sign'}
            </button>
          </div>
        </form>
      )}
    </div>
  );
}
