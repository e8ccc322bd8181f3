// A time in the viewer's zone with the full UTC time in its title.
import { usePlantNow } from '../hooks';
import { clockText, parseTime, preciseText } from '../lib/time';

export function TimeText({ time, seconds = false, precise = false, none = 'never' }: { time: string | null | undefined; seconds?: boolean; precise?: boolean; none?: string }) {
  const now = usePlantNow();
  const ms = parseTime(time);
  if (ms === null) return <span>{none}</span>;
  return (
    <time dateTime={time ?? undefined} title={`${time} (UTC)`}>
      {precise ? preciseText(ms) : clockText(ms, now, seconds)}
    </time>
  );
}
