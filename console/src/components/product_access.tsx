// Who may read a data product: asking for it, and answering those who ask.
import { useState, type FormEvent } from 'react';
import { api, type AccessRequest, type ProductDetail } from '../api';
import { invalidate, useResource } from '../data/cache';
import { useAction } from '../hooks';
import { requestText } from '../lib/products';
import { ProblemNote } from './problem';
import { TimeText } from './time_text';

const TIMES = [
  { value: '30d', title: '30 days' },
  { value: '90d', title: '90 days' },
  { value: '1y', title: 'a year' },
];

function refresh(product: string) {
  invalidate(`product/${product}`);
  invalidate(`access/${product}`);
  invalidate('products');
}

export function AskAccess({ product }: { product: ProductDetail }) {
  const [purpose, setPurpose] = useState('');
  const [personal, setPersonal] = useState(false);
  const ask = useAction(async () => {
    await api.askAccess(product.name, { purpose: purpose.trim(), personal });
    setPurpose('');
    refresh(product.name);
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void ask.run();
  };
  const mine = product.my_request;
  const hasPersonal = product.fields.some((field) => field.classification === 'personal');
  return (
    <div className="panel">
      <h2>Access</h2>
      {mine && (
        <p className="asked" role="status">
          Your request of <TimeText time={mine.asked} /> {requestText(mine)}
          {mine.state === 'granted' && mine.expires && (
            <>
              {' until '}
              <TimeText time={mine.expires} />
            </>
          )}
          {mine.note && `: “${mine.note}”`}
        </p>
      )}
      {mine?.state !== 'open' && (
        <form onSubmit={submit}>
          <label className="field">
            <span>What is the data for?</span>
            <input name="purpose" required minLength={3} maxLength={1000} value={purpose} onChange={(event) => setPurpose(event.target.value)} />
          </label>
          {hasPersonal && (
            <label className="check">
              <input type="checkbox" checked={personal} onChange={(event) => setPersonal(event.target.checked)} /> Personal values too
            </label>
          )}
          <ProblemNote problem={ask.problem} />
          <div className="acts one">
            <button type="submit" className="yes" disabled={ask.busy || purpose.trim().length < 3}>
              Ask the owner
            </button>
          </div>
        </form>
      )}
    </div>
  );
}

function Answer({ request }: { request: AccessRequest }) {
  const [time, setTime] = useState('90d');
  const grant = useAction(async () => {
    await api.grantAccess(request.id, { for: time, personal: request.personal, note: '' });
    refresh(request.product);
  });
  const deny = useAction(async () => {
    await api.denyAccess(request.id, { note: '' });
    refresh(request.product);
  });
  const open = request.state === 'open';
  if (!request.may_decide || (!open && request.state !== 'granted')) return null;
  return (
    <div className="answer-acts">
      {open && (
        <>
          <label>
            <span className="hidden">For how long</span>
            <select value={time} onChange={(event) => setTime(event.target.value)}>
              {TIMES.map((known) => (
                <option key={known.value} value={known.value}>
                  {known.title}
                </option>
              ))}
            </select>
          </label>
          <button type="button" className="button" disabled={grant.busy} onClick={() => void grant.run()}>
            Grant
          </button>
        </>
      )}
      <button type="button" className="button" disabled={deny.busy} onClick={() => void deny.run()}>
        {open ? 'Deny' : 'Revoke'}
      </button>
      <ProblemNote problem={grant.problem ?? deny.problem} />
    </div>
  );
}

export function AccessRequests({ product }: { product: string }) {
  const { data, problem } = useResource(`access/${product}`, () => api.accessRequests(product), 10_000);
  if (!data) return <ProblemNote problem={problem} />;
  if (data.items.length === 0) return null;
  return (
    <div className="panel">
      <h2>Who asked</h2>
      <ul className="requests">
        {data.items.map((request) => (
          <li key={request.id}>
            <p>
              <b>{request.principal}</b> {requestText(request)}
              {request.state === 'granted' && request.expires && (
                <>
                  {' until '}
                  <TimeText time={request.expires} />
                </>
              )}
              {request.personal && ', personal values too'}
            </p>
            <p className="soft">
              “{request.purpose}” <TimeText time={request.asked} />
            </p>
            <Answer request={request} />
          </li>
        ))}
      </ul>
    </div>
  );
}
