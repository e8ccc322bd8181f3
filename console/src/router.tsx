// Client routes by the history API. The node answers index.html for every path it does not know.
import { useSyncExternalStore, type AnchorHTMLAttributes, type MouseEvent } from 'react';

const listeners = new Set<() => void>();
const tell = () => listeners.forEach((listener) => listener());
window.addEventListener('popstate', tell);

export function navigate(to: string, replace = false) {
  if (to === location.pathname + location.search) return;
  if (replace) history.replaceState(null, '', to);
  else history.pushState(null, '', to);
  if (!replace) window.scrollTo(0, 0);
  tell();
}

const subscribe = (listener: () => void) => {
  listeners.add(listener);
  return () => void listeners.delete(listener);
};

export const usePath = () => useSyncExternalStore(subscribe, () => location.pathname);
export const useSearch = () => useSyncExternalStore(subscribe, () => location.search);

export function Link({ href, onClick, ...rest }: AnchorHTMLAttributes<HTMLAnchorElement> & { href: string }) {
  const follow = (event: MouseEvent<HTMLAnchorElement>) => {
    onClick?.(event);
    const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
    if (event.defaultPrevented || !plain || rest.target) return;
    event.preventDefault();
    navigate(href);
  };
  return <a href={href} onClick={follow} {...rest} />;
}

export const assetHref = (path: string) => `/assets/${path.split('/').map(encodeURIComponent).join('/')}`;
export const alarmHref = (id: string) => `/alarms/${encodeURIComponent(id)}`;
export const traceHref = (trace: string) => `/traces/${encodeURIComponent(trace)}`;
export const kpiHref = (name: string, asset?: string) =>
  `/value/${encodeURIComponent(name)}${asset ? `?asset=${encodeURIComponent(asset)}` : ''}`;
export const gateHref = (useCase: string, gate: string) =>
  `/usecases/${encodeURIComponent(useCase)}/gates/${encodeURIComponent(gate)}`;
export const productHref = (name: string) => `/data/products/${encodeURIComponent(name)}`;
export const contractHref = (id: string) => `/data/contracts/${encodeURIComponent(id)}`;
