// The models that run here: what they look at, what they were trained on, how fast they are.
import { api, type Model } from '../api';
import { Empty, Loading, ProblemNote } from '../components/problem';
import { Header } from '../components/shell';
import { TimeText } from '../components/time_text';
import { useResource } from '../data/cache';
import { brief, formatCount, formatNumber, words } from '../lib/format';
import { featureText } from '../lib/points';

export default function ModelsPage() {
  const { data, problem, loading, reload } = useResource('models', () => api.models(), 10_000);
  return (
    <>
      <Header title="Models" />
      <main id="main" className="stack pad">
        {!data && (loading ? <Loading lines={8} /> : <ProblemNote problem={problem} retry={reload} />)}
        {data?.items.length === 0 && <Empty title="No model">penstock learn train fits one on the labelled history and puts it into the site&apos;s models/.</Empty>}
        <div className="cards">
          {data?.items.map((model) => (
            <ModelCard key={`${model.name}@${model.version}`} model={model} />
          ))}
        </div>
      </main>
    </>
  );
}

function featureNames(features: unknown): string[] {
  const list = Array.isArray(features) ? features : ((features as { features?: unknown[] } | null)?.features ?? []);
  return (Array.isArray(list) ? list : []).map((f) => (typeof f === 'string' ? f : String((f as { name?: unknown }).name ?? '')));
}

type ClassMetrics = Record<string, number | undefined>;

function classRows(classes: unknown): [string, ClassMetrics][] {
  return classes !== null && typeof classes === 'object' ? Object.entries(classes as Record<string, ClassMetrics>) : [];
}

// How well each class was told apart on episodes that the training had not seen.
function Classes({ rows }: { rows: readonly [string, ClassMetrics][] }) {
  return (
    <div className="scroll">
      <table className="classes">
        <thead>
          <tr>
            <th scope="col">Held out</th>
            <th scope="col" className="num">Episodes</th>
            <th scope="col" className="num">Precision</th>
            <th scope="col" className="num">Recall</th>
          </tr>
        </thead>
        <tbody>
          {rows.map(([name, m]) => (
            <tr key={name}>
              <th scope="row">{words(name)}</th>
              <td className="num">{m['episodes'] === undefined ? '' : `${formatCount(m['episodes_found'])} of ${formatCount(m['episodes'])}`}</td>
              <td className="num">{formatNumber(m['precision'], 2)}</td>
              <td className="num">{formatNumber(m['recall'], 2)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function ModelCard({ model }: { model: Model }) {
  const names = featureNames(model.features);
  const metrics = Object.entries(model.metrics ?? {}).filter(([name]) => name !== 'classes');
  const classes = classRows(model.metrics?.['classes']);
  return (
    <section className="panel" aria-label={model.name}>
      <div className="head">
        <h3>
          {model.name} {model.version}
        </h3>
        <span className="state">{words(model.kind ?? 'not loaded')}</span>
      </div>
      <dl className="facts-list">
        <dt>Runs on</dt>
        <dd>{model.on.join(', ') || 'nothing at the moment'}</dd>
        <dt>Tells apart</dt>
        <dd>{(model.classes ?? []).map(words).join(', ') || 'normal from abnormal'}</dd>
        <dt>Trained</dt>
        <dd>
          <TimeText time={model.trained_at} none="not trained, learns as it runs" />
          {model.rows !== null && `, ${formatCount(model.rows)} rows`}
        </dd>
        <dt>Predictions</dt>
        <dd>{formatCount(model.predictions)}</dd>
        <dt>Time each</dt>
        <dd>{model.latency_us_p50 === null ? 'not measured yet' : `${formatNumber(model.latency_us_p50)} µs, 99 % below ${formatNumber(model.latency_us_p99)} µs`}</dd>
        {metrics.map(([name, value]) => (
          <div className="pair" key={name}>
            <dt>{words(name)}</dt>
            <dd>{typeof value === 'number' ? formatNumber(value, 3) : brief(value)}</dd>
          </div>
        ))}
        {model.digest && (
          <>
            <dt>Digest</dt>
            <dd>
              <code title={model.digest}>{model.digest.slice(0, 19)}…</code>
            </dd>
          </>
        )}
      </dl>
      {classes.length > 0 && <Classes rows={classes} />}
      {names.length > 0 && (
        <details>
          <summary>{names.length} features</summary>
          <ul className="plain-list">
            {names.map((name) => (
              <li key={name}>{featureText(name)}</li>
            ))}
          </ul>
        </details>
      )}
    </section>
  );
}
