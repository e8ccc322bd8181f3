// All points of a machine with value, quality, normal band and time. A row selects the trend.
import type { Alarm, Point } from '../api';
import { usePlantNow } from '../hooks';
import { isUnacknowledged } from '../lib/alarms';
import { formatNumber, unitText } from '../lib/format';
import { blamed, isGood, pointLabel, qualityText, standing } from '../lib/points';
import { clockText } from '../lib/time';
import { sparkPath } from '../lib/trend';
import { GaugeBar, ReadingText, readingTitle, useReading } from './point_row';
import { Empty } from './problem';

interface Props {
  points: readonly Point[];
  alarms: readonly Alarm[];
  selected: string | null;
  onSelect: (point: Point) => void;
}

export function PointsTable({ points, alarms, selected, onSelect }: Props) {
  const red = new Set(alarms.filter(isUnacknowledged).flatMap((alarm) => [...blamed(alarm)]));
  if (points.length === 0) return <Empty title="No points">The Thing Description names no property.</Empty>;
  return (
    <div className="scroll">
      <table className="points">
        <thead>
          <tr>
            <th scope="col">Point</th>
            <th scope="col" className="num">
              Value
            </th>
            <th scope="col">Range</th>
            <th scope="col">Normal</th>
            <th scope="col" className="wide-only">
              8 h
            </th>
            <th scope="col">Quality</th>
            <th scope="col" className="wide-only">
              Time
            </th>
          </tr>
        </thead>
        <tbody>
          {points.map((point) => (
            <Row key={point.path} point={point} red={red.has(point.property)} selected={point.path === selected} onSelect={onSelect} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

const MARK = { above: '▲ ', below: '▼ ', normal: '', unknown: '' } as const;

function Row({ point, red, selected, onSelect }: { point: Point; red: boolean; selected: boolean; onSelect: (point: Point) => void }) {
  const reading = useReading(point);
  const now = usePlantNow();
  const good = isGood(reading.quality);
  const at = good ? standing(reading.value, point.normal_low, point.normal_high) : 'unknown';
  const band = point.normal_low !== null && point.normal_high !== null;
  return (
    <tr className={[selected ? 'selected' : '', (!good && reading.quality !== null) || reading.stale ? 'stale' : '', red && at !== 'normal' ? 'bad' : ''].filter(Boolean).join(' ')} title={readingTitle(point, reading, now)} data-point={point.path}>
      <th scope="row">
        <button type="button" className="link plain" aria-pressed={selected} onClick={() => onSelect(point)}>
          {pointLabel(point)}
        </button>
      </th>
      <td className="num">
        <b>
          {MARK[at]}
          <ReadingText point={point} reading={reading} />
        </b>
      </td>
      <td className="gauge-cell">
        <GaugeBar point={point} value={good ? reading.value : null} />
      </td>
      <td className="soft">{band ? `${formatNumber(point.normal_low)} to ${formatNumber(point.normal_high)} ${unitText(point.unit)}`.trim() : 'not known'}</td>
      <td className="wide-only">
        <svg className="spark" viewBox="0 0 44 20" preserveAspectRatio="none" aria-hidden="true">
          {point.spark && <path d={sparkPath(point.spark, 44, 20)} fill="none" stroke="currentColor" strokeWidth="1.2" />}
        </svg>
      </td>
      <td className="soft">{reading.stale ? 'stale' : qualityText(reading.quality)}</td>
      <td className="soft wide-only">{reading.time === null ? 'never' : clockText(reading.time, now, true)}</td>
    </tr>
  );
}
