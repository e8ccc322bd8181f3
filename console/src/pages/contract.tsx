// One data contract: its promises beside what was measured, its fields, its versions.
import { api, type Compliance, type ContractField, type ContractPromise } from '../api';
import { Empty, Loading, ProblemNote } from '../components/problem';
import { Header } from '../components/shell';
import { TimeText } from '../components/time_text';
import { useResource } from '../data/cache';
import { brief, formatPlain, unitText, words } from '../lib/format';
import { Link } from '../router';

const SIGNS: Record<ContractPromise['state'], string> = { kept: '✓ kept', broken: '✕ broken', not_measured: '○ not measured' };

function Promises({ compliance }: { compliance: Compliance }) {
  const order = { broken: 0, kept: 1, not_measured: 2 };
  const promises = [...compliance.promises].sort((a, b) => order[a.state] - order[b.state]);
  const broken = promises.filter((p) => p.state === 'broken').length;
  return (
    <div className="panel scroll">
      <h2>Promises in the last 24 hours</h2>
      <p>
        <b>{compliance.kept ? '✓ All that was measured is kept' : `✕ ${broken} of ${promises.length} broken`}</b>
      </p>
      {promises.length > 0 && (
        <table className="fields">
          <thead>
            <tr>
              <th scope="col">Promise</th>
              <th scope="col">Point</th>
              <th scope="col">Promised</th>
              <th scope="col">Measured</th>
              <th scope="col">State</th>
            </tr>
          </thead>
          <tbody>
            {promises.map((promise, i) => (
              <tr key={i}>
                <th scope="row">{words(promise.name || promise.kind)}</th>
                <td>{promise.point || 'all points'}</td>
                <td>{brief(promise.promised)}</td>
                <td>
                  {brief(promise.measured)} {unitText(promise.unit)}
                </td>
                <td className="whole">{promise.state === 'broken' ? <b>{SIGNS.broken}</b> : SIGNS[promise.state]}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </div>
  );
}

const limits = (field: ContractField) => (field.minimum === null && field.maximum === null ? 'any' : `${field.minimum === null ? 'any' : formatPlain(field.minimum)} to ${field.maximum === null ? 'any' : formatPlain(field.maximum)} ${unitText(field.unit)}`);

function Fields({ fields }: { fields: ContractField[] }) {
  return (
    <div className="panel scroll">
      <h2>Fields</h2>
      <table className="fields">
        <thead>
          <tr>
            <th scope="col">Field</th>
            <th scope="col">Range</th>
            <th scope="col">Fresh within</th>
            <th scope="col">Class</th>
            <th scope="col">Rules</th>
          </tr>
        </thead>
        <tbody>
          {fields.map((field) => (
            <tr key={field.name}>
              <th scope="row">{field.name}</th>
              <td>{limits(field)}</td>
              <td className="whole">{field.freshness ?? 'not promised'}</td>
              <td>
                {field.classification}
                {field.personal_data.length > 0 && `: ${field.personal_data.join(', ')}`}
              </td>
              <td>{field.rules.map((rule) => `${rule.metric} ${rule.rule}`).join('; ') || 'none'}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Versions({ id }: { id: string }) {
  const { data } = useResource(`contractversions/${id}`, () => api.contractVersions(id));
  if (!data || data.items.length === 0) return null;
  return (
    <div className="panel">
      <h2>Versions</h2>
      <ul className="plain-list">
        {data.items.map((version, i) => (
          <li key={i}>
            <b>{version.version}</b> accepted <TimeText time={version.accepted_at} />
            {version.changes !== null && <span className="soft"> {brief(version.changes)}</span>}
          </li>
        ))}
      </ul>
    </div>
  );
}

export default function ContractPage({ id }: { id: string }) {
  const { data, problem, loading, reload } = useResource(`contract/${id}`, () => api.contract(id));
  const compliance = useResource(`compliance/${id}`, () => api.compliance(id), 30_000);
  return (
    <>
      <Header title={`Contract ${id}`} />
      <main id="main" className="stack pad">
        <p>
          <Link href="/data/contracts">All contracts</Link>
        </p>
        {!data ? (
          loading ? (
            <Loading lines={10} />
          ) : (
            <ProblemNote problem={problem} retry={reload} />
          )
        ) : (
          <div className="two product">
            <div className="stack">
              <div className="panel">
                <h2>What it is</h2>
                {data.purpose && <p>{data.purpose}</p>}
                <dl className="facts-list">
                  <dt>Version</dt>
                  <dd>
                    {data.version}, {data.status}
                  </dd>
                  <dt>Domain</dt>
                  <dd>{data.domain || 'not said'}</dd>
                  <dt>Owner</dt>
                  <dd>{data.owner || data.team || 'nobody yet'}</dd>
                  <dt>Made from</dt>
                  <dd>{data.thing_model || 'by hand'}</dd>
                  <dt>Class</dt>
                  <dd>{data.classification}</dd>
                  <dt>File</dt>
                  <dd>
                    <code>{data.file}</code>
                  </dd>
                </dl>
                <details>
                  <summary>The document (ODCS 3.1)</summary>
                  <pre>{JSON.stringify(data.document, null, 2)}</pre>
                </details>
              </div>
              <Versions id={id} />
            </div>
            <div className="stack">
              {compliance.data ? <Promises compliance={compliance.data} /> : compliance.problem ? <ProblemNote problem={compliance.problem} retry={compliance.reload} /> : <Loading lines={4} />}
              {data.field_list.length > 0 ? <Fields fields={data.field_list} /> : <Empty title="No field" />}
            </div>
          </div>
        )}
      </main>
    </>
  );
}
