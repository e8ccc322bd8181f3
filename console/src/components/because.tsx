// Why: the strongest contributions as bars; with `full`, each value against its normal band.
import type { Contribution } from '../api';
import { formatSigned, withUnit } from '../lib/format';
import { featureText } from '../lib/points';

export function Because({ because, full = false, limit = 3 }: { because: readonly Contribution[]; full?: boolean; limit?: number }) {
  if (because.length === 0) return <p className="soft">The model gave no reasons for this one.</p>;
  const shown = because.slice(0, limit);
  const largest = Math.max(...shown.map((c) => Math.abs(c.contribution)), 1e-9);
  const label = shown.map((c) => `${featureText(c.feature)} ${formatSigned(c.contribution)}`).join(', ');
  return (
    <div className={full ? 'why full' : 'why'} role="group" aria-label={`Why: ${label}`}>
      {shown.map((c) => (
        <Bar key={c.feature} contribution={c} share={Math.abs(c.contribution) / largest} full={full} />
      ))}
    </div>
  );
}

function Bar({ contribution: c, share, full }: { contribution: Contribution; share: number; full: boolean }) {
  const against = c.contribution < 0;
  return (
    <>
      <span className="name">{featureText(c.feature)}</span>
      <span className="track">
        <i className={against ? 'neg' : ''} style={{ width: `${Math.max(3, share * 100)}%` }} />
      </span>
      <span className="amount" title="log-odds towards this cause">
        {formatSigned(c.contribution)}
      </span>
      {full && (
        <span className="values">
          {withUnit(c.value, c.unit)}
          {c.normal_low !== null && c.normal_high !== null && (
            <>
              {' '}
              <span className="soft">
                normal {withUnit(c.normal_low, '')} to {withUnit(c.normal_high, c.unit)}
              </span>
            </>
          )}
          {against && <span className="soft"> (speaks against it)</span>}
        </span>
      )}
    </>
  );
}
