// The session decides between set-up, sign-in and the console; the path decides the page.
import { lazy, Suspense, useCallback, useEffect, useState, type ReactNode } from 'react';
import { api, Problem, type Session } from './api';
import { Empty, Loading, ProblemNote } from './components/problem';
import { Header, Shell } from './components/shell';
import { clearCache } from './data/cache';
import { matchPath } from './lib/match';
import { connectLive, loadAlarms, loadOverview } from './live/connection';
import { live } from './live/store';
import { LoginPage, SetUpPage } from './pages/login';
import PlantPage from './pages/plant';
import { Link, navigate, usePath } from './router';
import { SessionProvider } from './session';

const AlarmPage = lazy(() => import('./pages/alarm'));
const AlarmsPage = lazy(() => import('./pages/alarms'));
const AssetPage = lazy(() => import('./pages/asset'));
const TracePage = lazy(() => import('./pages/trace'));
const DataPage = lazy(() => import('./pages/data'));
const ProductPage = lazy(() => import('./pages/product'));
const ContractPage = lazy(() => import('./pages/contract'));
const ModelsPage = lazy(() => import('./pages/models'));
const ValuePage = lazy(() => import('./pages/value'));
const KpiPage = lazy(() => import('./pages/value').then((m) => ({ default: m.KpiPage })));
const UseCasesPage = lazy(() => import('./pages/usecases'));
const GatePage = lazy(() => import('./pages/usecases').then((m) => ({ default: m.GatePage })));
const TrustPage = lazy(() => import('./pages/trust'));

type Params = Record<string, string>;
const of = (params: Params, name: string) => params[name] ?? '';

const ROUTES: readonly [string, (params: Params) => ReactNode][] = [
  ['/', () => <PlantPage />],
  ['/assets/*', (p) => <AssetPage key={of(p, 'rest')} path={of(p, 'rest')} />],
  ['/alarms', () => <AlarmsPage />],
  ['/alarms/:id', (p) => <AlarmPage key={of(p, 'id')} id={of(p, 'id')} />],
  ['/traces/:trace', (p) => <TracePage trace={of(p, 'trace')} />],
  ['/data', () => <DataPage tab="points" />],
  ['/data/products/:name', (p) => <ProductPage key={of(p, 'name')} name={of(p, 'name')} />],
  ['/data/contracts/:id', (p) => <ContractPage key={of(p, 'id')} id={of(p, 'id')} />],
  ['/data/:tab', (p) => <DataPage tab={of(p, 'tab')} />],
  ['/models', () => <ModelsPage />],
  ['/value', () => <ValuePage />],
  ['/value/:name', (p) => <KpiPage name={of(p, 'name')} />],
  ['/usecases', () => <UseCasesPage />],
  ['/usecases/:useCase/gates/:gate', (p) => <GatePage useCase={of(p, 'useCase')} gate={of(p, 'gate')} />],
  ['/trust', () => <TrustPage tab="audit" />],
  ['/trust/:tab', (p) => <TrustPage tab={of(p, 'tab')} />],
];

function Page() {
  const path = usePath();
  for (const [pattern, show] of ROUTES) {
    const params = matchPath(pattern, path);
    if (params) return <Suspense fallback={<Waiting />}>{show(params)}</Suspense>;
  }
  return (
    <>
      <Header title="Not here" />
      <main id="main" className="pad">
        <Empty title="There is no such page">
          <Link href="/">To the plant</Link>
        </Empty>
      </main>
    </>
  );
}

function Waiting() {
  return (
    <main id="main" className="pad waiting">
      <Loading lines={10} />
    </main>
  );
}

function useSessionState() {
  const [session, setSession] = useState<Session | null>(null);
  const [problem, setProblem] = useState<unknown>(null);
  const load = useCallback(() => {
    api.session().then(
      (next) => {
        setSession(next);
        setProblem(null);
        live.dispatch({ type: 'clock', time: next.time, speed: next.speed });
      },
      (error: unknown) => setProblem(error),
    );
  }, []);
  useEffect(load, [load]);
  useEffect(() => {
    if (!(problem instanceof Problem) || problem.status !== 0) return;
    const timer = window.setInterval(load, 3000);
    return () => window.clearInterval(timer);
  }, [problem, load]);
  return { session, problem, load };
}

export function App() {
  const { session, problem, load } = useSessionState();
  const signedIn = session?.user?.name;
  const leave = useCallback(() => {
    clearCache();
    live.reset();
    load();
  }, [load]);
  useEffect(() => {
    if (!signedIn) return;
    void loadAlarms();
    void loadOverview();
    return connectLive(leave);
  }, [signedIn, leave]);
  if (!session)
    return (
      <main className="door" id="main">
        <div className="panel">{problem ? <ProblemNote problem={problem} retry={load} /> : <Loading lines={4} />}</div>
      </main>
    );
  const enter = () => {
    clearCache();
    if (/^\/(login|setup)$/.test(location.pathname) || location.search.includes('token=')) navigate('/', true);
    load();
  };
  if (session.setup_needed) return <SetUpPage session={session} onDone={enter} />;
  if (!session.user) return <LoginPage session={session} onDone={enter} />;
  return (
    <SessionProvider value={{ session, reload: load, leave }}>
      <Shell>
        <Page />
      </Shell>
    </SessionProvider>
  );
}
