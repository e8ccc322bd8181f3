// Signing in, and the first start of a node, when its set-up token makes the first administrator.
import { useState, type FormEvent, type ReactNode } from 'react';
import { api, type Session } from '../api';
import { ProblemNote } from '../components/problem';
import { useAction, useTitle } from '../hooks';

function Door({ title, session, children }: { title: string; session: Session; children: ReactNode }) {
  useTitle(title);
  return (
    <main className="door" id="main">
      <div className="panel">
        <div className="brand">
          <svg width="24" height="24" viewBox="0 0 20 20" aria-hidden="true">
            <path d="M2 4h6l4 12h6" fill="none" stroke="currentColor" strokeWidth="3" />
            <path d="M10 1v6" stroke="currentColor" strokeWidth="3" />
          </svg>
          Penstock
        </div>
        <h1>{title}</h1>
        <p className="soft">
          {session.site}, node {session.node}
        </p>
        {children}
      </div>
    </main>
  );
}

export function LoginPage({ session, onDone }: { session: Session; onDone: () => void }) {
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  const { run, busy, problem } = useAction(async () => {
    await api.logIn({ name: name.trim(), password });
    onDone();
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void run();
  };
  return (
    <Door title="Sign in" session={session}>
      <form onSubmit={submit}>
        <label className="field">
          <span>Name</span>
          <input name="name" autoComplete="username" autoCapitalize="none" required autoFocus value={name} onChange={(e) => setName(e.target.value)} />
        </label>
        <label className="field">
          <span>Password</span>
          <input name="password" type="password" autoComplete="current-password" required value={password} onChange={(e) => setPassword(e.target.value)} />
        </label>
        <ProblemNote problem={problem} />
        <div className="acts one">
          <button type="submit" className="yes" disabled={busy}>
            {busy ? 'Signing in …' : 'Sign in'}
          </button>
        </div>
      </form>
    </Door>
  );
}

const tokenInAddress = () => new URLSearchParams(location.search).get('token') ?? '';

export function SetUpPage({ session, onDone }: { session: Session; onDone: () => void }) {
  const [token, setToken] = useState(tokenInAddress);
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  const [again, setAgain] = useState('');
  const differs = again !== '' && again !== password;
  const { run, busy, problem } = useAction(async () => {
    await api.setUp({ token: token.trim(), name: name.trim(), password });
    onDone();
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (password === again) void run();
  };
  return (
    <Door title="Set up this node" session={session}>
      <p>This node is new. The token that it printed at its start makes you the administrator; it works once.</p>
      <form onSubmit={submit}>
        <label className="field">
          <span>Set-up token</span>
          <input name="token" autoComplete="off" autoCapitalize="none" spellCheck={false} required autoFocus={token === ''} value={token} onChange={(e) => setToken(e.target.value)} />
        </label>
        <label className="field">
          <span>Your name</span>
          <input name="name" autoComplete="username" autoCapitalize="none" required autoFocus={token !== ''} value={name} onChange={(e) => setName(e.target.value)} />
        </label>
        <label className="field">
          <span>Password</span>
          <input name="password" type="password" autoComplete="new-password" required value={password} onChange={(e) => setPassword(e.target.value)} />
        </label>
        <label className="field">
          <span>Password again</span>
          <input name="again" type="password" autoComplete="new-password" required value={again} onChange={(e) => setAgain(e.target.value)} aria-invalid={differs} aria-describedby="again-note" />
        </label>
        <p id="again-note" className="soft" aria-live="polite">
          {differs ? 'The two passwords differ.' : ' '}
        </p>
        <ProblemNote problem={problem} />
        <div className="acts one">
          <button type="submit" className="yes" disabled={busy || differs}>
            {busy ? 'Setting up …' : 'Make me the administrator'}
          </button>
        </div>
      </form>
    </Door>
  );
}
