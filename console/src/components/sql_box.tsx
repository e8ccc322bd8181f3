// One question in SQL over the data products, and its answer as a table. Ctrl-Enter asks.
import { useState, type FormEvent, type KeyboardEvent } from 'react';
import { api, type Scalar, type SqlAnswer } from '../api';
import { useAction } from '../hooks';
import { formatCount, formatNumber, plural } from '../lib/format';
import { parseTime, preciseText } from '../lib/time';
import { Empty, ProblemNote } from './problem';

const ROWS_MAX = 1000;

function CellText({ value, type }: { value: Scalar; type: string }) {
  if (value === null) return <span className="soft">null</span>;
  if (type === 'timestamp' && typeof value === 'string') return <time title={value}>{preciseText(parseTime(value) ?? 0)}</time>;
  if (type === 'double' && typeof value === 'number') return <span title={String(value)}>{formatNumber(value)}</span>;
  return <>{String(value)}</>;
}

const isNumber = (type: string) => type === 'integer' || type === 'double';

function AnswerTable({ answer }: { answer: SqlAnswer }) {
  return (
    <>
      <p className="soft" role="status">
        {plural(answer.row_count, 'row')} in {formatCount(Math.round(answer.elapsed_ms))} ms
        {answer.truncated && `, the first ${formatCount(answer.row_count)} of more`}
      </p>
      {answer.rows.length === 0 ? (
        <Empty title="No row">The question has an answer, and it is empty.</Empty>
      ) : (
        <div className="panel scroll answer">
          <table>
            <thead>
              <tr>
                {answer.columns.map((column, i) => (
                  <th key={i} scope="col" title={column.type} className={isNumber(column.type) ? 'num' : ''}>
                    {column.name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {answer.rows.map((row, i) => (
                <tr key={i}>
                  {row.map((value, j) => {
                    const type = answer.columns[j]?.type ?? 'text';
                    return (
                      <td key={j} className={isNumber(type) ? 'num' : type === 'timestamp' ? 'whole' : ''}>
                        <CellText value={value} type={type} />
                      </td>
                    );
                  })}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </>
  );
}

export function SqlBox({ first }: { first: string }) {
  const [sql, setSql] = useState(first);
  const [answer, setAnswer] = useState<SqlAnswer | null>(null);
  const ask = useAction(async () => {
    setAnswer(null);
    setAnswer(await api.sql({ sql, limit: ROWS_MAX }));
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void ask.run();
  };
  const onKey = (event: KeyboardEvent) => {
    if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    void ask.run();
  };
  return (
    <div className="stack">
      <form className="panel" onSubmit={submit}>
        <label className="field">
          <span>One SELECT over the data products; nothing can be changed by it. Ctrl-Enter asks.</span>
          <textarea name="sql" className="sql" rows={Math.min(10, Math.max(4, sql.split('\n').length))} spellCheck={false} autoCapitalize="none" value={sql} onChange={(event) => setSql(event.target.value)} onKeyDown={onKey} />
        </label>
        <button type="submit" className="button" disabled={ask.busy || sql.trim() === ''}>
          {ask.busy ? 'Asking …' : 'Ask'}
        </button>
        <ProblemNote problem={ask.problem} />
      </form>
      {answer && <AnswerTable answer={answer} />}
    </div>
  );
}
