// Says when the screen is no longer live. Everything below it is hatched as stale until the stream is back.
import { useEffect } from 'react';
import { clockText } from '../lib/time';
import { useLive } from '../live/store';

export function ConnectionNote() {
  const connection = useLive((s) => s.connection);
  const since = useLive((s) => s.lostSince);
  const failing = useLive((s) => s.overview?.log_failing ?? false);
  const lost = connection === 'lost';
  useEffect(() => {
    document.documentElement.toggleAttribute('data-stale', lost);
  }, [lost]);
  return (
    <div className="connection" role="status">
      {lost && since !== null && (
        <p>
          <b>Connection lost since {clockText(since, Date.now(), true)}.</b> Values are from then (hatched, stale). Trying again …
        </p>
      )}
      {failing && (
        <p>
          <b>The node cannot write its log.</b> New samples are not acknowledged; look at its disk.
        </p>
      )}
    </div>
  );
}
