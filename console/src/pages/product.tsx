// One data product: what it is, whose, how fresh; its schema; who may read it; three lines that read it; a question.
import { useState } from 'react';
import { api, type ProductDetail, type ProductField } from '../api';
import { ContractLinks } from '../components/contract_links';
import { AccessRequests, AskAccess } from '../components/product_access';
import { Loading, ProblemNote } from '../components/problem';
import { Header } from '../components/shell';
import { SqlBox } from '../components/sql_box';
import { TimeText } from '../components/time_text';
import { useResource } from '../data/cache';
import { formatBytes, formatCount, formatDuration, formatValue, unitText } from '../lib/format';
import { qualityText } from '../lib/points';
import { accessText, firstQuestion, freshnessText, snippets } from '../lib/products';
import { Link } from '../router';

function Facts({ product }: { product: ProductDetail }) {
  return (
    <div className="panel">
      <h2>What it is</h2>
      {product.description && <p>{product.description}</p>}
      <dl className="facts-list">
        <dt>Domain</dt>
        <dd>{product.domain ?? 'not said'}</dd>
        <dt>Owner</dt>
        <dd>{product.owner ?? product.team ?? 'nobody yet: a contract names one'}</dd>
        <dt>{product.contracts.length > 1 ? 'Contracts' : 'Contract'}</dt>
        <dd>
          <ContractLinks contracts={product.contracts} />
        </dd>
        <dt>Newest sample</dt>
        <dd>{freshnessText(product)}</dd>
        <dt>Holds</dt>
        <dd>
          {formatCount(product.rows)} samples of {formatCount(product.points)} points, {formatBytes(product.bytes)} in {formatCount(product.files)} files
        </dd>
        <dt>From</dt>
        <dd>{product.first ? <TimeText time={product.first} /> : 'the first flush to come'}</dd>
        <dt>Kept for</dt>
        <dd>{formatDuration(product.retention_s)}</dd>
        {product.deleted && (
          <>
            <dt>Deleted until</dt>
            <dd>
              <TimeText time={product.deleted.until} />, {formatCount(product.deleted.rows)} samples whose time was over
            </dd>
          </>
        )}
        <dt>Class</dt>
        <dd>{product.classification}</dd>
        <dt>Access</dt>
        <dd>{accessText(product)}</dd>
      </dl>
    </div>
  );
}

function Field({ field, last }: { field: ProductField; last: ProductDetail['sample'][number] | undefined }) {
  return (
    <tr>
      <th scope="row">
        {field.name}
        {field.kind && <span className="soft"> {field.kind}</span>}
        {field.description && <span className="soft field-text">{field.description}</span>}
      </th>
      <td className="whole">{unitText(field.unit)}</td>
      <td className="whole">{field.type === 'waveform' ? `waveform, ${formatCount(field.sample_rate_hz)} Hz` : field.type}</td>
      <td>{field.withheld ? <b>{field.classification}, withheld from you</b> : field.classification}</td>
      <td className="num">{formatCount(field.points.length)}</td>
      <td className="num">{last ? last.quality === 'Good' ? formatValue(last.value, field.unit) : qualityText(last.quality) : <span className="soft">no value</span>}</td>
    </tr>
  );
}

function Schema({ product }: { product: ProductDetail }) {
  const lastOf = (field: ProductField) => product.sample.find((row) => field.points.includes(row.point));
  return (
    <div className="panel scroll">
      <h2>Fields</h2>
      <table className="fields">
        <thead>
          <tr>
            <th scope="col">Field</th>
            <th scope="col">Unit</th>
            <th scope="col">Type</th>
            <th scope="col">Class</th>
            <th scope="col" className="num">
              Points
            </th>
            <th scope="col" className="num">
              Last value
            </th>
          </tr>
        </thead>
        <tbody>
          {product.fields.map((field) => (
            <Field key={`${field.kind}/${field.name}`} field={field} last={lastOf(field)} />
          ))}
        </tbody>
      </table>
      <p className="soft">
        Columns of every row: point (thing/field), time, ingest_time, value, quality (OPC UA status code, 0 is good), sequence.
      </p>
    </div>
  );
}

function Snippets({ product }: { product: string }) {
  const all = snippets(location.origin, product);
  const [chosen, setChosen] = useState(0);
  const snippet = all[chosen] ?? all[0];
  return (
    <div className="panel">
      <div className="head">
        <h2>Three lines</h2>
        <div className="segmented" role="group" aria-label="Read it with">
          {all.map((one, i) => (
            <button key={one.title} type="button" aria-pressed={i === chosen} onClick={() => setChosen(i)}>
              {one.title}
            </button>
          ))}
        </div>
      </div>
      <pre className="snippet">{snippet?.text}</pre>
      <p className="soft">
        A token is made under <Link href="/trust/tokens">Trust, Tokens</Link>; the role viewer is enough. <a href={`/api/v1/products/${encodeURIComponent(product)}/data?format=csv`}>CSV</a>,{' '}
        <a href={`/api/v1/products/${encodeURIComponent(product)}/data?format=parquet`}>Parquet</a>, <a href={`/api/v1/products/${encodeURIComponent(product)}/files`}>its files</a>.
      </p>
    </div>
  );
}

export default function ProductPage({ name }: { name: string }) {
  const { data, problem, loading, reload } = useResource(`product/${name}`, () => api.product(name), 10_000);
  return (
    <>
      <Header title={data ? data.title : name} />
      <main id="main" className="stack pad">
        <p>
          <Link href="/data/products">All data products</Link>
        </p>
        {!data ? (
          loading ? (
            <Loading lines={10} />
          ) : (
            <ProblemNote problem={problem} retry={reload} />
          )
        ) : (
          <>
            <div className="two product">
              <div className="stack">
                <Facts product={data} />
                {!data.may_read || data.my_request ? <AskAccess product={data} /> : null}
                <AccessRequests product={name} />
              </div>
              <div className="stack">
                {data.may_read && <Snippets product={name} />}
                <Schema product={data} />
              </div>
            </div>
            {data.may_read && <SqlBox first={firstQuestion(name)} />}
          </>
        )}
      </main>
    </>
  );
}
