// The human's answer to an alarm: confirm with the fault code preselected, or override in three taps.
import { useState } from 'react';
import { api, type Alarm, type VerdictKind } from '../api';
import { invalidate, put, useResource } from '../data/cache';
import { useAction } from '../hooks';
import { codeOf, OVERRIDES, type VerdictChoice } from '../lib/alarms';
import { sentence, words } from '../lib/format';
import { live } from '../live/store';
import { Dialog } from './dialog';
import { ProblemNote } from './problem';

export function takeAnswer(alarm: Alarm | undefined) {
  if (!alarm?.id) return;
  live.dispatch({ type: 'alarm', alarm });
  put(`alarm/${alarm.id}`, alarm);
  for (const key of ['alarms', 'kpi', 'usecase', 'labels', `trace/${alarm.trace}`]) invalidate(key);
}

function useVerdict(alarm: Alarm, done: () => void) {
  return useAction(async (kind: VerdictKind, code: string, note: string) => {
    takeAnswer(await api.verdict(alarm.id, { kind, code, note }));
    done();
  });
}

const HEALTHY = /^(normal|healthy|ok|none)$/;

// Codes of the models that watch this machine; the alarm's own cause comes first.
function useCodes(alarm: Alarm): string[] {
  const { data } = useResource('models', () => api.models());
  const own = codeOf(alarm.cause);
  const known = (data?.items ?? []).filter((m) => m.on.includes(alarm.thing)).flatMap((m) => m.classes ?? []);
  return [...new Set([own, ...known.map(codeOf)])].filter((code) => code !== '' && !HEALTHY.test(code));
}

export function ConfirmDialog({ alarm, onClose }: { alarm: Alarm; onClose: () => void }) {
  const codes = useCodes(alarm);
  const [code, setCode] = useState(codeOf(alarm.cause));
  const [note, setNote] = useState('');
  const { run, busy, problem } = useVerdict(alarm, onClose);
  return (
    <Dialog title="Confirm: a true fault" onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void run('true_fault', code, note);
        }}
      >
        <p className="soft">
          {alarm.title}, {alarm.id}
        </p>
        <label className="field">
          <span>What is it</span>
          <select value={code} onChange={(event) => setCode(event.target.value)} name="code">
            {codes.map((known) => (
              <option key={known} value={known}>
                {sentence(words(known))}
              </option>
            ))}
          </select>
        </label>
        <label className="field">
          <span>Note (may stay empty)</span>
          <input value={note} onChange={(event) => setNote(event.target.value)} name="note" maxLength={500} placeholder="what was found, what was done" />
        </label>
        <ProblemNote problem={problem} />
        <div className="acts">
          <button type="submit" className="yes" disabled={busy} data-action="record">
            {busy ? 'Recording …' : `Record ${words(code)}`}
          </button>
          <button type="button" onClick={onClose}>
            Not now
          </button>
        </div>
      </form>
    </Dialog>
  );
}

export function OverrideDialog({ alarm, onClose }: { alarm: Alarm; onClose: () => void }) {
  const [choice, setChoice] = useState<VerdictChoice | null>(null);
  const [note, setNote] = useState('');
  const { run, busy, problem } = useVerdict(alarm, onClose);
  if (!choice) {
    return (
      <Dialog title="Override: what is it really?" onClose={onClose}>
        <p className="soft">
          {alarm.title}, {alarm.id}
        </p>
        <div className="choices">
          {OVERRIDES.map((option) => (
            <button key={option.kind} type="button" className="choice" onClick={() => setChoice(option)} data-kind={option.kind}>
              <b>{option.title}</b>
              <span>{option.hint}</span>
            </button>
          ))}
        </div>
      </Dialog>
    );
  }
  return (
    <Dialog title={`${choice.title}: why?`} onClose={onClose}>
      <p className="soft">One tap records it. Or write a reason of your own below.</p>
      <div className="choices">
        {choice.reasons.map((reason) => (
          <button key={reason.code} type="button" className="choice" disabled={busy} onClick={() => void run(choice.kind, reason.code, note || reason.text)} data-reason={reason.code}>
            <b>{reason.text}</b>
          </button>
        ))}
      </div>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (note.trim()) void run(choice.kind, '', note.trim());
        }}
      >
        <label className="field">
          <span>Another reason</span>
          <input value={note} onChange={(event) => setNote(event.target.value)} name="note" maxLength={500} />
        </label>
        <ProblemNote problem={problem} />
        <div className="acts">
          <button type="submit" className="yes" disabled={busy || note.trim() === ''}>
            Record
          </button>
          <button type="button" onClick={() => setChoice(null)}>
            Back
          </button>
        </div>
      </form>
    </Dialog>
  );
}

const SHELVE_TIMES = [
  { for: '1h', text: '1 h' },
  { for: '4h', text: '4 h' },
  { for: '8h', text: '8 h' },
  { for: '24h', text: '24 h' },
];

export function ShelveDialog({ alarm, onClose }: { alarm: Alarm; onClose: () => void }) {
  const [time, setTime] = useState('4h');
  const [reason, setReason] = useState('');
  const { run, busy, problem } = useAction(async () => {
    takeAnswer(await api.shelve(alarm.id, { for: time, reason: reason.trim() }));
    invalidate(`alarm/${alarm.id}`);
    onClose();
  });
  return (
    <Dialog title="Shelve: quiet for a while" onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void run();
        }}
      >
        <p className="soft">{alarm.title}. It comes back by itself when the time is over; at most 24 h.</p>
        <fieldset className="segments">
          <legend>For how long (plant time)</legend>
          {SHELVE_TIMES.map((option) => (
            <label key={option.for}>
              <input type="radio" name="for" value={option.for} checked={time === option.for} onChange={() => setTime(option.for)} />
              <span>{option.text}</span>
            </label>
          ))}
        </fieldset>
        <label className="field">
          <span>Why</span>
          <input required value={reason} onChange={(event) => setReason(event.target.value)} name="reason" maxLength={500} placeholder="for example: waiting for the spare part" />
        </label>
        <ProblemNote problem={problem} />
        <div className="acts">
          <button type="submit" className="yes" disabled={busy || reason.trim() === ''}>
            Shelve for {SHELVE_TIMES.find((option) => option.for === time)?.text}
          </button>
          <button type="button" onClick={onClose}>
            Not now
          </button>
        </div>
      </form>
    </Dialog>
  );
}
