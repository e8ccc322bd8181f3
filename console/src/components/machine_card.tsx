// A machine: its state and a few points in their normal band. An outline says that an alarm is on it.
import type { Alarm, Asset, Point } from '../api';
import { isActive, isUnacknowledged, PRIORITY_WORD } from '../lib/alarms';
import { blamed, pickPoints, tellsState } from '../lib/points';
import { useConnection } from '../live/store';
import { runs } from '../lib/assets';
import { assetHref, Link } from '../router';
import { PointRow } from './point_row';
import { PRIORITY_CLASS } from './priority';

interface Props {
  asset: Asset;
  points: readonly Point[];
  alarms: readonly Alarm[]; // Open ones of this machine, most urgent first.
  selected: string | null;
  onSelect: (point: Point) => void;
  limit?: number;
}

export function MachineCard({ asset, points, alarms, selected, onSelect, limit = 4 }: Props) {
  const urgent = alarms.find(isUnacknowledged);
  const answered = alarms.find(isActive);
  const named = new Set(alarms.filter(isActive).flatMap((alarm) => [...blamed(alarm)]));
  const red = new Set(alarms.filter(isUnacknowledged).flatMap((alarm) => [...blamed(alarm)]));
  const shown = pickPoints(points, named, limit);
  const lost = useConnection() === 'lost';
  return (
    <section className={urgent ? `machine bad ${PRIORITY_CLASS[urgent.priority]}` : 'machine'} aria-label={asset.title}>
      <div className="head">
        <h3>
          <Link href={assetHref(asset.path)} className="plain">
            {asset.title}
          </Link>
        </h3>
        <span className="state">
          {[lost ? 'stale' : '', tellsState(points) || asset.state !== 'unknown' ? asset.state : '', urgent ? `alarm ${urgent.priority} ${PRIORITY_WORD[urgent.priority].toLowerCase()}` : answered ? 'alarm acknowledged' : ''].filter(Boolean).join(', ')}
        </span>
      </div>
      {shown.map((point) => (
        <PointRow key={point.path} point={point} runs={runs(asset.state)} alarmed={urgent && red.has(point.property) ? PRIORITY_CLASS[urgent.priority] as 'high' | 'med' | 'low' : null} selected={selected === point.path} onSelect={onSelect} />
      ))}
      {points.length === 0 && <p className="soft">No points yet.</p>}
      {points.length > shown.length && (
        <Link href={assetHref(asset.path)} className="all">
          all {points.length} points
        </Link>
      )}
    </section>
  );
}
