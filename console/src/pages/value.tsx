// What it is worth: every KPI, and for each its definition and the events behind it.
import { api } from '../api';
import { KpiDefinition, KpiEvents, KpiTile } from '../components/kpi_tile';
import { Empty, Loading, ProblemNote } from '../components/problem';
import { Header } from '../components/shell';
import { useResource } from '../data/cache';
import { byRank } from '../lib/kpis';
import { kpiHref, Link, navigate, useSearch } from '../router';

export default function ValuePage() {
  const { data, problem, loading, reload } = useResource('kpis', () => api.kpis(), 10_000);
  const assets = [...new Set((data?.items ?? []).map((kpi) => kpi.asset))].sort((a, b) => a.length - b.length || a.localeCompare(b));
  return (
    <>
      <Header title="Value" />
      <main id="main" className="stack pad">
        {!data && (loading ? <Loading lines={10} /> : <ProblemNote problem={problem} retry={reload} />)}
        {data?.items.length === 0 && <Empty title="No figure yet">KPIs come from machine states, counters and verdicts; the first ones appear within minutes.</Empty>}
        {assets.map((asset) => (
          <section className="stack" key={asset} aria-label={asset}>
            <h2>{asset}</h2>
            <div className="kpis">
              {data?.items
                .filter((kpi) => kpi.asset === asset)
                .sort(byRank)
                .map((kpi) => (
                  <div className="panel" key={kpi.name}>
                    <KpiTile kpi={kpi} all={data.items} />
                    <Link href={kpiHref(kpi.name, kpi.asset)} className="all">
                      definition and events
                    </Link>
                  </div>
                ))}
            </div>
          </section>
        ))}
      </main>
    </>
  );
}

export function KpiPage({ name }: { name: string }) {
  const { data, problem, loading, reload } = useResource('kpis', () => api.kpis(), 10_000);
  const asked = new URLSearchParams(useSearch()).get('asset');
  const ofName = (data?.items ?? []).filter((kpi) => kpi.name === name);
  const kpi = ofName.find((k) => k.asset === asked) ?? [...ofName].sort((a, b) => a.asset.length - b.asset.length)[0];
  return (
    <>
      <Header way={[{ text: 'Value', href: '/value' }]} title={kpi?.title ?? name} />
      <main id="main" className="stack pad">
        {!data && (loading ? <Loading lines={8} /> : <ProblemNote problem={problem} retry={reload} />)}
        {data && !kpi && (
          <Empty title={`No KPI is called ${name}`}>
            <Link href="/value">All figures</Link>
          </Empty>
        )}
        {kpi && (
          <>
            {ofName.length > 1 && (
              <label className="field inline">
                <span>Asset</span>
                <select value={kpi.asset} onChange={(event) => navigate(kpiHref(name, event.target.value), true)}>
                  {ofName.map((k) => (
                    <option key={k.asset}>{k.asset}</option>
                  ))}
                </select>
              </label>
            )}
            <div className="panel narrow">
              <KpiDefinition kpi={kpi} />
            </div>
            <div className="panel">
              <h2>Events behind it</h2>
              <KpiEvents name={name} asset={kpi.asset} />
            </div>
          </>
        )}
      </main>
    </>
  );
}
