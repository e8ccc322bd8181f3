// The ISA-95 tree as the plant page shows it: machines by the line they stand in.
import type { Asset, MachineState } from '../api';
import { sentence, words } from './format';

export interface Line {
  path: string;
  title: string;
  machines: Asset[];
}

export function parentOf(path: string): string {
  const cut = path.lastIndexOf('/');
  return cut < 0 ? '' : path.slice(0, cut);
}

export function titleOf(path: string, assets: readonly Asset[]): string {
  const known = assets.find((asset) => asset.path === path)?.title;
  return known || sentence(words(path.slice(path.lastIndexOf('/') + 1)).replace(/-/g, ' '));
}

// Whatever has a thing of its own is a machine; lines come in the order of their first machine.
export function linesOf(assets: readonly Asset[]): Line[] {
  const lines = new Map<string, Line>();
  for (const asset of assets) {
    if (asset.thing === null) continue;
    const path = parentOf(asset.path);
    const line = lines.get(path) ?? { path, title: titleOf(path, assets), machines: [] };
    line.machines.push(asset);
    lines.set(path, line);
  }
  return [...lines.values()];
}

// The way to an asset as crumbs; only assets that exist are links.
export function wayTo(path: string, assets: readonly Asset[]): { text: string; path: string | null }[] {
  const parts = path.split('/');
  return parts.slice(0, -1).map((part, index) => {
    const own = parts.slice(0, index + 1).join('/');
    return { text: part, path: assets.some((asset) => asset.path === own) ? own : null };
  });
}

// Whether the machine does what its normal band is about. What nobody knows is taken as running: rather a mark too many.
export function runs(state: MachineState): boolean {
  return state === 'running' || state === 'unknown';
}
