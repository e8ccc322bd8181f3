// The buttons under an alarm, and the dialogs they open.
import { useState } from 'react';
import { api, type Alarm } from '../api';
import { invalidate } from '../data/cache';
import { useAction } from '../hooks';
import { isUnacknowledged } from '../lib/alarms';
import { alarmHref, Link, traceHref } from '../router';
import { useMay } from '../session';
import { ProblemNote } from './problem';
import { ConfirmDialog, OverrideDialog, ShelveDialog, takeAnswer } from './verdict_dialogs';

export function AlarmActions({ alarm, page = false }: { alarm: Alarm; page?: boolean }) {
  const [open, setOpen] = useState<'confirm' | 'override' | 'shelve' | null>(null);
  const may = useMay('technician');
  const acknowledge = useAction(async () => {
    takeAnswer(await api.acknowledge(alarm.id));
    invalidate(`alarm/${alarm.id}`);
  });
  const unshelve = useAction(async () => {
    takeAnswer(await api.unshelve(alarm.id));
    invalidate(`alarm/${alarm.id}`);
  });
  const close = () => setOpen(null);
  return (
    <>
      {may ? (
        <>
          <div className={alarm.verdict ? 'acts first done' : 'acts first'}>
            <button type="button" className={alarm.verdict ? '' : 'yes'} onClick={() => setOpen('confirm')} data-action="confirm">
              {alarm.verdict ? 'Confirm after all' : 'Confirm'}
            </button>
            <button type="button" onClick={() => setOpen('override')} data-action="override">
              Override …
            </button>
          </div>
          {page && (
            <div className="acts second">
              {isUnacknowledged(alarm) && (
                <button type="button" onClick={() => void acknowledge.run()} disabled={acknowledge.busy} data-action="acknowledge">
                  Acknowledge
                </button>
              )}
              {alarm.state === 'shelved' && (
                <button type="button" onClick={() => void unshelve.run()} disabled={unshelve.busy}>
                  Take off the shelf
                </button>
              )}
              {alarm.state !== 'shelved' && alarm.state !== 'normal' && (
                <button type="button" onClick={() => setOpen('shelve')} data-action="shelve">
                  Shelve …
                </button>
              )}
            </div>
          )}
        </>
      ) : (
        <p className="soft">Your role may look; a technician answers alarms.</p>
      )}
      <ProblemNote problem={acknowledge.problem ?? unshelve.problem} />
      {!page && (
        <div className="more">
          <Link href={alarmHref(alarm.id)} data-alarm-link={alarm.id}>
            Evidence
          </Link>
          <Link href={traceHref(alarm.trace)}>Trace</Link>
          {may && (
            <button type="button" className="link" onClick={() => setOpen('shelve')}>
              Shelve
            </button>
          )}
        </div>
      )}
      {open === 'confirm' && <ConfirmDialog alarm={alarm} onClose={close} />}
      {open === 'override' && <OverrideDialog alarm={alarm} onClose={close} />}
      {open === 'shelve' && <ShelveDialog alarm={alarm} onClose={close} />}
    </>
  );
}
