// Who may, who did: the audit log with its proofs, users, tokens.
import { useState, type FormEvent } from 'react';
import { api, ROLES, type AuditEntry, type Role, type Token, type User } from '../api';
import { AuditProofNote } from '../components/audit_proof';
import { More } from '../components/more';
import { NameField } from '../components/name_field';
import { Empty, Loading, ProblemNote } from '../components/problem';
import { Header } from '../components/shell';
import { SureButton } from '../components/sure_button';
import { ListTable, type Column } from '../components/table';
import { Tabs } from '../components/tabs';
import { TimeText } from '../components/time_text';
import { invalidate, useResource } from '../data/cache';
import { useAction } from '../hooks';
import { brief, formatCount } from '../lib/format';
import { Link, traceHref } from '../router';
import { useMay } from '../session';

export default function TrustPage({ tab }: { tab: string }) {
  const admin = useMay('admin');
  const tabs = [{ href: '/trust', title: 'Audit log' }, ...(admin ? [{ href: '/trust/users', title: 'Users' }, { href: '/trust/tokens', title: 'Tokens' }] : [])];
  return (
    <>
      <Header title="Trust" />
      <main id="main" className="stack pad">
        <Tabs label="Trust" tabs={tabs} />
        {tab === 'users' && admin ? <Users /> : tab === 'tokens' && admin ? <Tokens /> : <Audit />}
      </main>
    </>
  );
}

function Audit() {
  const { data, problem, loading, reload } = useResource('audit', () => api.audit(), 10_000);
  const root = useResource('auditroot', () => api.auditRoot(), 10_000);
  const [more, setMore] = useState<AuditEntry[]>([]);
  if (!data) return loading ? <Loading lines={10} /> : <ProblemNote problem={problem} retry={reload} />;
  const entries = [...data.items, ...more];
  return (
    <>
      <p className="soft">
        A Merkle log after RFC 6962: no entry changes or vanishes without the root telling.
        {root.data && (
          <>
            {' '}
            {formatCount(root.data.size)} leaves, root <code title={root.data.root}>{root.data.root.slice(0, 16)}…</code>
          </>
        )}
      </p>
      {entries.length === 0 && <Empty title="Nothing yet" />}
      <div className="audit">
        {entries.map((entry) => (
          <details key={entry.leaf} className="panel">
            <summary>
              <span className="soft">{entry.leaf}</span> <TimeText time={entry.at} seconds /> <b>{entry.actor}</b> {entry.action} {entry.subject}
            </summary>
            <p>{brief(entry.detail)}</p>
            {entry.trace && (
              <p>
                <Link href={traceHref(entry.trace)}>Trace</Link>
              </p>
            )}
            <AuditProofNote leaf={entry.leaf} />
          </details>
        ))}
      </div>
      <More next={data.next} read={(after) => api.audit(after)} onMore={(items) => setMore([...more, ...items])} />
    </>
  );
}

function RoleSelect({ role, onChange }: { role: Role; onChange: (role: Role) => void }) {
  return (
    <label className="field">
      <span>Role</span>
      <select name="role" value={role} onChange={(event) => onChange(event.target.value as Role)}>
        {ROLES.map((known) => (
          <option key={known}>{known}</option>
        ))}
      </select>
    </label>
  );
}

// "plant-manager, shift-lead" as a person types it.
function Titles({ user }: { user: User }) {
  const held = (user.titles ?? []).join(', ');
  const [text, setText] = useState<string | null>(null);
  const { run, busy, problem } = useAction(async () => {
    await api.changeUser(user.name, { titles: (text ?? '').split(',').map((title) => title.trim()).filter(Boolean) });
    setText(null);
    invalidate('users');
  });
  if (text === null)
    return (
      <>
        {held || <span className="soft">none</span>}{' '}
        <button type="button" className="link" aria-label={`Change the titles of ${user.name}`} onClick={() => setText(held)}>
          Change
        </button>
      </>
    );
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        void run();
      }}
    >
      <label className="field">
        <span>Titles of {user.name}</span>
        <input name="titles" value={text} autoFocus autoComplete="off" autoCapitalize="none" placeholder="plant-manager, shift-lead" onChange={(event) => setText(event.target.value)} />
      </label>
      <ProblemNote problem={problem} />
      <button type="submit" className="yes" disabled={busy}>
        Save
      </button>
    </form>
  );
}

function Users() {
  const list = useResource('users', () => api.users());
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  const [role, setRole] = useState<Role>('technician');
  const add = useAction(async () => {
    await api.addUser({ name: name.trim(), password, role });
    setName('');
    setPassword('');
    invalidate('users');
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void add.run();
  };
  const columns: Column<User>[] = [
    { title: 'Name', show: (u) => <b>{u.name}</b> },
    { title: 'Role', show: (u) => u.role },
    { title: 'Titles', show: (u) => <Titles user={u} /> },
    { title: '', show: (u) => <SureButton verb="Remove" what={u.name} action={() => api.removeUser(u.name)} onDone={() => invalidate('users')} /> },
  ];
  return (
    <div className="two">
      <div className="stack">
        <ListTable list={list} columns={columns} rowKey={(u) => u.name} empty="No user" hint="The first one is made at set-up." />
      </div>
      <form className="panel" onSubmit={submit}>
        <h2>New user</h2>
        <NameField label="Name" value={name} onChange={setName} />
        <label className="field">
          <span>First password</span>
          <input name="password" type="password" required autoComplete="new-password" value={password} onChange={(event) => setPassword(event.target.value)} />
        </label>
        <RoleSelect role={role} onChange={setRole} />
        <ProblemNote problem={add.problem} />
        <div className="acts one">
          <button type="submit" className="yes" disabled={add.busy}>
            Add
          </button>
        </div>
      </form>
    </div>
  );
}

function Tokens() {
  const list = useResource('tokens', () => api.tokens());
  const [name, setName] = useState('');
  const [role, setRole] = useState<Role>('viewer');
  const [made, setMade] = useState<string | null>(null);
  const add = useAction(async () => {
    const answer = await api.addToken({ name: name.trim(), role });
    setMade(answer.secret);
    setName('');
    invalidate('tokens');
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void add.run();
  };
  const columns: Column<Token>[] = [
    { title: 'Name', show: (t) => <b>{t.name}</b> },
    { title: 'Role', show: (t) => t.role },
    { title: 'Made', show: (t) => <TimeText time={t.created} none="not known" /> },
    { title: '', show: (t) => <SureButton verb="Remove" what={t.name} action={() => api.removeToken(t.name)} onDone={() => invalidate('tokens')} /> },
  ];
  return (
    <div className="two">
      <div className="stack">
        <ListTable list={list} columns={columns} rowKey={(t) => t.name} empty="No token" hint="A token lets a program speak to this node: Authorization: Bearer TOKEN." />
      </div>
      <form className="panel" onSubmit={submit}>
        <h2>New token</h2>
        <NameField label="What is it for" value={name} onChange={setName} />
        <RoleSelect role={role} onChange={setRole} />
        <ProblemNote problem={add.problem} />
        {made && (
          <p className="made" role="status">
            <b>Copy it now, it is shown once:</b> <code>{made}</code>
          </p>
        )}
        <div className="acts one">
          <button type="submit" className="yes" disabled={add.busy}>
            Make a token
          </button>
        </div>
      </form>
    </div>
  );
}
