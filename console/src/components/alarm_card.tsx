// The alarm card: what, where, since, why in three bars, how sure, what to do, how long there is; then the verdict.
import type { Alarm } from '../api';
import { usePlantNow } from '../hooks';
import { advice, isUnacknowledged, leftText, secondsLeft, stateWord, verdictWord } from '../lib/alarms';
import { formatDuration, formatNumber, words } from '../lib/format';
import { parseTime } from '../lib/time';
import { alarmHref, Link } from '../router';
import { AlarmActions } from './alarm_actions';
import { Because } from './because';
import { PRIORITY_CLASS, PriorityMark } from './priority';
import { TimeText } from './time_text';

export function alarmClass(alarm: Alarm): string {
  return isUnacknowledged(alarm) ? `alarm ${PRIORITY_CLASS[alarm.priority]}` : 'alarm';
}

// "since 14:02, 7 min" or what has become of it.
export function AlarmStatus({ alarm }: { alarm: Alarm }) {
  const now = usePlantNow();
  if (alarm.verdict)
    return (
      <span>
        {verdictWord(alarm.verdict.kind)} <TimeText time={alarm.verdict.at} /> by {alarm.verdict.actor}
      </span>
    );
  if (alarm.state === 'shelved')
    return (
      <span>
        shelved until <TimeText time={alarm.shelved_until} none="further notice" />
      </span>
    );
  if (alarm.state === 'active_acknowledged')
    return (
      <span>
        acknowledged <TimeText time={alarm.acknowledged_at} />
        {alarm.acknowledged_by ? ` by ${alarm.acknowledged_by}` : ''}
      </span>
    );
  if (alarm.superseded_by) return <span>superseded by {alarm.superseded_by}</span>;
  if (alarm.state === 'normal' || alarm.state === 'cleared_unacknowledged')
    return (
      <span>
        cleared <TimeText time={alarm.cleared_at ?? alarm.last_change} />, unanswered
      </span>
    );
  if (alarm.state !== 'active_unacknowledged') return <span>{stateWord(alarm.state)}</span>;
  const raised = parseTime(alarm.raised);
  return (
    <span>
      since <TimeText time={alarm.raised} />
      {raised !== null && `, ${formatDuration((now - raised) / 1000)}`}
    </span>
  );
}

export function SureText({ alarm }: { alarm: Alarm }) {
  return (
    <>
      Sure: <b>{formatNumber(alarm.confidence, 2)}</b>
      {alarm.confidence_low !== null && alarm.confidence_high !== null && (
        <>
          {' '}
          [{formatNumber(alarm.confidence_low, 2)}, {formatNumber(alarm.confidence_high, 2)}]
        </>
      )}
      . Model {alarm.model.replace('@', ' ')}.
      {alarm.track_record && alarm.track_record.of > 0 && (
        <>
          {' '}
          Right {alarm.track_record.right} of {alarm.track_record.of} times here.
        </>
      )}
    </>
  );
}

export function AlarmCard({ alarm, full }: { alarm: Alarm; full: boolean }) {
  const now = usePlantNow();
  const left = secondsLeft(alarm, now);
  return (
    <article className={alarmClass(alarm)} data-alarm={alarm.id} data-state={alarm.state} aria-label={alarm.title}>
      <div className="top">
        <PriorityMark priority={alarm.priority} />
        <AlarmStatus alarm={alarm} />
        <span className="id">{alarm.id}</span>
      </div>
      <h3>
        <Link href={alarmHref(alarm.id)} className="plain">
          {alarm.title}
        </Link>
      </h3>
      <p>{advice(alarm)}</p>
      {full && (
        <>
          <Because because={alarm.because} />
          <p className="sure">
            <SureText alarm={alarm} />
          </p>
          {left !== null && isUnacknowledged(alarm) && <p className={left < 0 ? 'left over' : 'left'}>{leftText(left)}</p>}
          <AlarmActions alarm={alarm} />
        </>
      )}
      {!full && alarm.verdict?.note && (
        <p className="soft">
          {words(alarm.verdict.code) ? `${words(alarm.verdict.code)}: ` : ''}
          {alarm.verdict.note}
        </p>
      )}
    </article>
  );
}
