// What was kept out of the history, with the reason; an engineer looks at it, corrects it and lets it in, or discards it.
import { useState, type FormEvent } from 'react';
import { api, type Quarantined } from '../api';
import { invalidate, useResource } from '../data/cache';
import { useAction } from '../hooks';
import { brief } from '../lib/format';
import { contractHref, Link } from '../router';
import { useMay } from '../session';
import { Dialog } from './dialog';
import { More } from './more';
import { ProblemNote } from './problem';
import { ListTable, type Column } from './table';
import { TimeText } from './time_text';

const STATES: Record<string, string> = { open: 'waits', releasing: 'on its way', released: 'released', discarded: 'discarded', noted: 'noted' };

function StateOf({ entry, onOpen }: { entry: Quarantined; onOpen: (entry: Quarantined) => void }) {
  if (!entry.releasable) return <>{STATES[entry.state ?? ''] ?? 'noted'}</>;
  return (
    <button type="button" className="link" onClick={() => onOpen(entry)} aria-label={`Decide about ${entry.point} ${brief(entry.value)}`}>
      Decide …
    </button>
  );
}

function Facts({ entry }: { entry: Quarantined }) {
  return (
    <dl className="facts-list">
      <dt>Point</dt>
      <dd>{entry.point || 'not known'}</dd>
      <dt>Value</dt>
      <dd>
        <b>{brief(entry.value)}</b>
        {entry.samples !== undefined && entry.samples > 1 && ` and ${entry.samples - 1} more of the same burst`}
      </dd>
      <dt>Measured</dt>
      <dd>
        <TimeText time={entry.source_time ?? entry.at} seconds />
      </dd>
      <dt>Came from</dt>
      <dd>{entry.source}</dd>
      <dt>Broke</dt>
      <dd>
        {entry.rule}
        {entry.contract && (
          <>
            {' of '}
            <Link href={contractHref(entry.contract.split('@')[0] ?? '')}>{entry.contract}</Link>
          </>
        )}
      </dd>
      <dt>Why</dt>
      <dd>{entry.message}</dd>
    </dl>
  );
}

function Decide({ entry, onClose }: { entry: Quarantined; onClose: () => void }) {
  const may = useMay('engineer');
  const [reason, setReason] = useState('');
  const [value, setValue] = useState('');
  const done = () => {
    invalidate('quarantine');
    onClose();
  };
  const release = useAction(async () => {
    const corrected = value.trim() === '' ? undefined : Number(value);
    await api.release(entry.id, corrected === undefined ? { reason } : { reason, value: corrected });
    done();
  });
  const discard = useAction(async () => {
    await api.discard(entry.id, { reason });
    done();
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void release.run();
  };
  const wrong = value.trim() !== '' && !Number.isFinite(Number(value));
  return (
    <Dialog title="A sample in quarantine" onClose={onClose} wide>
      <Facts entry={entry} />
      {may ? (
        <form onSubmit={submit}>
          <label className="field">
            <span>Corrected value (empty: as it came)</span>
            <input name="value" inputMode="decimal" value={value} aria-invalid={wrong} onChange={(event) => setValue(event.target.value)} />
          </label>
          <label className="field">
            <span>Reason, for the audit log</span>
            <input name="reason" required maxLength={500} value={reason} onChange={(event) => setReason(event.target.value)} />
          </label>
          <ProblemNote problem={release.problem ?? discard.problem} />
          <div className="acts">
            <button type="submit" className="yes" disabled={release.busy || wrong || reason.trim() === ''}>
              {value.trim() === '' ? 'Release as it is' : 'Release corrected'}
            </button>
            <button type="button" disabled={discard.busy || reason.trim() === ''} onClick={() => void discard.run()}>
              Discard
            </button>
          </div>
        </form>
      ) : (
        <p className="soft">An engineer decides about it.</p>
      )}
    </Dialog>
  );
}

export function QuarantineView() {
  const [open, setOpen] = useState(false);
  const [chosen, setChosen] = useState<Quarantined | null>(null);
  const [older, setOlder] = useState<Quarantined[]>([]);
  const state = open ? 'open' : undefined;
  const list = useResource(`quarantine/${state ?? 'all'}`, () => api.quarantine(undefined, state), 10_000);
  const columns: Column<Quarantined>[] = [
    { title: 'At', whole: true, show: (q) => <TimeText time={q.at} seconds /> },
    { title: 'Point', show: (q) => q.point || 'not known' },
    { title: 'Rule', show: (q) => q.rule },
    { title: 'Value', show: (q) => brief(q.value) },
    { title: 'Why', show: (q) => q.message },
    { title: 'Source', show: (q) => q.source },
    { title: 'State', whole: true, show: (q) => <StateOf entry={q} onOpen={setChosen} /> },
  ];
  const show = (only: boolean) => {
    setOpen(only);
    setOlder([]);
  };
  return (
    <>
      <div className="segmented" role="group" aria-label="Which entries">
        <button type="button" aria-pressed={!open} onClick={() => show(false)}>
          All
        </button>
        <button type="button" aria-pressed={open} onClick={() => show(true)}>
          To decide
        </button>
      </div>
      <ListTable list={list} columns={columns} rowKey={(q, i) => `${q.id ?? q.at}-${i}`} empty={open ? 'Nothing to decide' : 'Nothing in quarantine'} hint="Samples that break a rule come here with the reason, instead of into the history." extra={older} />
      {list.data && <More key={state} next={list.data.next} read={(after) => api.quarantine(after, state)} onMore={(more) => setOlder([...older, ...more])} />}
      {chosen && <Decide entry={chosen} onClose={() => setChosen(null)} />}
    </>
  );
}
