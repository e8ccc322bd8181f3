// A figure of value. "how" opens its definition, numerator, denominator and interval.
import { useState } from 'react';
import { api, type Kpi, type KpiPart } from '../api';
import { useResource } from '../data/cache';
import { brief, formatNumber, formatPlain, unitText, withUnit, words } from '../lib/format';
import { factorsText, intervalText, kpiText, kpiTitle } from '../lib/kpis';
import { kpiHref, Link } from '../router';
import { Dialog } from './dialog';
import { Empty, Loading, ProblemNote } from './problem';
import { TimeText } from './time_text';

export function KpiTile({ kpi, all }: { kpi: Kpi; all: readonly Kpi[] }) {
  const [open, setOpen] = useState(false);
  const text = kpiText(kpi);
  const factors = kpi.name === 'oee' ? factorsText(all, kpi.asset) : '';
  return (
    <div className="kpi" data-kpi={kpi.name} data-value={kpi.value ?? ''} data-n={kpi.n ?? ''}>
      <div className="n">
        <span title={kpi.title}>{kpiTitle(kpi)}</span>
        <button type="button" className="link" onClick={() => setOpen(true)} aria-label={`How ${kpi.title} is made`}>
          how
        </button>
      </div>
      <div className={kpi.value === null ? 'v none' : 'v'}>
        {text.number}{' '}
        <small>
          {text.unit}
          {text.was && `${text.unit ? ', ' : ''}${text.was}`}
        </small>
      </div>
      <div className="iv">{factors || intervalText(kpi) || kpi.numerator?.text}</div>
      {open && (
        <Dialog title={kpi.title} onClose={() => setOpen(false)}>
          <KpiDefinition kpi={kpi} />
          <p>
            <Link href={kpiHref(kpi.name, kpi.asset)}>The events behind it</Link>
          </p>
        </Dialog>
      )}
    </div>
  );
}

// "3 alarms that were right" after a bold 3 reads "alarms that were right".
function withoutNumber(part: KpiPart): string {
  const number = `${part.value} `;
  return part.text.startsWith(number) ? part.text.slice(number.length) : part.text;
}

function Part({ title, part }: { title: string; part: KpiPart | null }) {
  if (!part) return null;
  return (
    <>
      <dt>{title}</dt>
      <dd>
        <b>{Number.isInteger(part.value) ? `${formatPlain(part.value)} ${unitText(part.unit)}`.trim() : withUnit(part.value, part.unit)}</b> {withoutNumber(part)}
      </dd>
    </>
  );
}

export function KpiDefinition({ kpi }: { kpi: Kpi }) {
  const text = kpiText(kpi);
  return (
    <dl className="facts-list">
      <dt>Value</dt>
      <dd>
        <b>
          {text.number} {text.unit}
        </b>{' '}
        {text.was}
      </dd>
      <dt>Formula</dt>
      <dd>
        <code>{kpi.formula || 'not stated'}</code>
        {kpi.reference && <span className="soft"> {kpi.reference === 'own' ? 'of Penstock, in no standard' : kpi.reference}</span>}
      </dd>
      <Part title="Numerator" part={kpi.numerator} />
      <Part title="Denominator" part={kpi.denominator} />
      <dt>Interval</dt>
      <dd>
        {kpi.low !== null && kpi.high !== null
          ? `${formatNumber(kpi.low, 2)} to ${formatNumber(kpi.high, 2)} ${unitText(kpi.unit)}${kpi.confidence ? `, ${formatNumber(kpi.confidence * 100, 0)} % sure` : ''}`
          : 'none: nothing was estimated, or there are no events yet'}
      </dd>
      <dt>Events</dt>
      <dd>{kpi.n === null ? 'not counted' : formatNumber(kpi.n, 0)}</dd>
      <dt>Asset</dt>
      <dd>{kpi.asset}</dd>
      <dt>Period</dt>
      <dd>
        <TimeText time={kpi.from} /> to <TimeText time={kpi.to} />
      </dd>
    </dl>
  );
}

export function KpiEvents({ name, asset }: { name: string; asset: string | undefined }) {
  const { data, problem, loading, reload } = useResource(`kpievents/${name}/${asset ?? ''}`, () => api.kpiEvents(name, asset), 10_000);
  if (!data && loading) return <Loading lines={4} />;
  if (!data) return <ProblemNote problem={problem} retry={reload} />;
  if (data.items.length === 0) return <Empty title="No event yet">The figure moves with the first one.</Empty>;
  const filled = data.items.flatMap((item) => Object.keys(item).filter((key) => item[key] !== null && item[key] !== ''));
  const columns = [...new Set(filled)].sort((a, b) => columnRank(a) - columnRank(b)).slice(0, 8);
  return (
    <div className="scroll">
      <table>
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column} scope="col">
                {words(column)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {data.items.map((item, index) => (
            <tr key={index}>
              {columns.map((column) => (
                <td key={column}>
                  <Cell column={column} value={item[column]} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

// Objects come with their keys in any order: what and when first, who and why last.
const COLUMNS = ['alarm', 'title', 'thing', 'raised', 'from', 'to', 'at', 'state', 'cause', 'kind', 'counts_as', 'counts as', 'reason', 'actor', 'note', 'trace'];
function columnRank(column: string): number {
  const index = COLUMNS.indexOf(column);
  return index < 0 ? COLUMNS.length : index;
}

function Cell({ column, value }: { column: string; value: unknown }) {
  if (value === null || value === '') return null;
  if (column === 'trace' && typeof value === 'string') return <Link href={`/traces/${value}`}>{value.slice(0, 8)}…</Link>;
  if (column === 'cause' && typeof value === 'string') return <>{words(value)}</>;
  if (typeof value === 'string' && /^\d{4}-\d\d-\d\dT/.test(value)) return <TimeText time={value} />;
  if (typeof value === 'string' && /^A-\d+$/.test(value)) return <Link href={`/alarms/${value}`}>{value}</Link>;
  return <>{brief(value)}</>;
}
