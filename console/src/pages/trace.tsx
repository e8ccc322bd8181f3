// The thread through all of it: one trace id from the samples to the KPI, with times, and the proof that it stands
// in the audit log.
import { api, type Chain, type Step } from '../api';
import { AuditProofNote } from '../components/audit_proof';
import { Empty, Loading, ProblemNote } from '../components/problem';
import { Header } from '../components/shell';
import { TimeText } from '../components/time_text';
import { useResource } from '../data/cache';
import { brief, formatDuration, sentence, words } from '../lib/format';
import { parseTime } from '../lib/time';
import { alarmHref, Link } from '../router';

const MEANING: Record<string, string> = {
  samples: 'what was measured',
  features: 'what the window looks like',
  model: 'what the model says, and why',
  alarm: 'what the plant was told',
  notified: 'who was told',
  superseded: 'another alarm took its place',
  supersedes: 'it took the place of another alarm',
  retired: 'its model judges no more',
  verdict: 'what the human said',
  label: 'what the next training learns',
  kpi: 'what it did to the figures',
  gate: 'what it did to the use case',
};

export default function TracePage({ trace }: { trace: string }) {
  const { data, problem, loading, reload } = useResource(`trace/${trace}`, () => api.trace(trace), 10_000);
  return (
    <>
      <Header way={[{ text: 'Alarms', href: '/alarms' }, ...(data ? [{ text: data.id, href: alarmHref(data.id) }] : [])]} title="Trace" />
      <main id="main" className="stack pad narrow">{data ? <ChainView chain={data} /> : loading ? <Loading lines={12} label="Loading the chain" /> : <ProblemNote problem={problem} retry={reload} />}</main>
    </>
  );
}

function ChainView({ chain }: { chain: Chain }) {
  const start = parseTime(chain.steps[0]?.at);
  return (
    <>
      <div>
        <h2 className="what">
          <Link href={alarmHref(chain.id)} className="plain">
            {chain.title}
          </Link>
        </h2>
        <p className="soft">
          trace <code>{chain.trace}</code>
        </p>
      </div>
      {chain.steps.length === 0 && <Empty title="No step is stored for this trace">Records older than the retention of decisions are gone.</Empty>}
      <ol className="chain">
        {chain.steps.map((step, index) => (
          <StepRow key={index} step={step} sinceStart={start} />
        ))}
      </ol>
      <div className="panel">
        <h3>Audit</h3>
        {chain.audit ? (
          <>
            <p>
              Leaf {chain.audit.leaf}: {chain.audit.proof_ok ? <b>✓ the node finds the proof in order</b> : <b className="bad-word">✕ the proof does not hold: the record was changed</b>}.
            </p>
            <AuditProofNote leaf={chain.audit.leaf} />
          </>
        ) : (
          <p className="soft">No human has answered yet, so there is no leaf.</p>
        )}
      </div>
    </>
  );
}

function StepRow({ step, sinceStart }: { step: Step; sinceStart: number | null }) {
  const at = parseTime(step.at);
  const after = at !== null && sinceStart !== null ? at - sinceStart : 0;
  return (
    <li data-stage={step.stage}>
      <div className="when">
        <TimeText time={step.at} precise />
        <span className="soft">{after > 0 ? `+${after < 1000 ? `${Math.round(after)} ms` : formatDuration(after / 1000)}` : 'start'}</span>
      </div>
      <div className="step">
        <h3>
          {step.stage === 'kpi' ? 'KPI' : sentence(step.stage)} <span className="soft">{MEANING[step.stage]}</span>
        </h3>
        <p>{step.text}</p>
        <Detail value={step.detail} />
      </div>
    </li>
  );
}

function Detail({ value }: { value: unknown }) {
  if (value === null || typeof value !== 'object' || Object.keys(value).length === 0) return null;
  const rows = Array.isArray(value) ? value.map((v, i) => [String(i + 1), v] as const) : Object.entries(value);
  return (
    <details>
      <summary>The record</summary>
      <dl className="facts-list">
        {rows.map(([key, inner]) => (
          <div key={key} className="pair">
            <dt>{words(key)}</dt>
            <dd>{Array.isArray(inner) && inner.some((i) => typeof i === 'object') ? inner.map((i, n) => <div key={n}>{brief(i)}</div>) : brief(inner)}</dd>
          </div>
        ))}
      </dl>
    </details>
  );
}
