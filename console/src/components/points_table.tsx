// All points of a machine with value, quality, normal band and time. A row selects the trend.
import type { Alarm, Point } from '../api';
import { usePlantNow } from '../hooks';
import { isUnacknowledged } from '../lib/alarms';
import { formatNumber, unitText } from '../lib/format';
import { blamed, isGood, pointLabel, qualityText, standing } from '../lib/points';
import { clockText } from '../lib/time';
import { GaugeBar, ReadingText, readingTitle, Spark, useReading } from './point_row';
import { PRIORITY_CLASS } from './priority';
import { Empty } from './problem';

interface Props {
  runs: boolean;
  points: readonly Point[];
  alarms: readonly Alarm[];
  selected: string | null;
  onSelect: (point: Point) => void;
}

export function PointsTable({ points, runs, alarms, selected, onSelect }: Props) {
  // The most urgent alarm comes first, so it is written last and its colour wins.
  const red = new Map(alarms.filter(isUnacknowledged).reverse().flatMap((alarm) => [...blamed(alarm)].map((name) => [name, PRIORITY_CLASS[alarm.priority]] as const)));
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
            <Row key={point.path} point={point} runs={runs} red={red.get(point.property) ?? null} selected={point.path === selected} onSelect={onSelect} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

const MARK = { above: '▲ ', below: '▼ ', normal: '', unknown: '' } as const;

function Row({ point, runs, red, selected, onSelect }: { point: Point; runs: boolean; red: string | null; selected: boolean; onSelect: (point: Point) => void }) {
  const reading = useReading(point);
  const now = usePlantNow();
  const good = isGood(reading.quality);
  const at = good && runs ? standing(reading.value, point.normal_low, point.normal_high) : 'unknown';
  const band = point.type !== 'boolean' && point.normal_low !== null && point.normal_high !== null;
  return (
    <tr className={[selected ? 'selected' : '', (!good && reading.quality !== null) || reading.stale ? 'stale' : '', red && at !== 'normal' && runs ? `bad ${red}` : ''].filter(Boolean).join(' ')} title={readingTitle(point, reading, now)} data-point={point.path}>
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
      <td className="soft">{band ? `${formatNumber(point.normal_low)} to ${formatNumber(point.normal_high)} ${unitText(point.unit)}`.trim() : point.type === 'boolean' || point.type === 'string' ? '' : 'not known'}</td>
      <td className="wide-only">
        <Spark values={point.spark} />
      </td>
      <td className="soft">{reading.stale ? 'stale' : qualityText(reading.quality)}</td>
      <td className="soft wide-only">{reading.time === null ? 'never' : clockText(reading.time, now, true)}</td>
    </tr>
  );
}
