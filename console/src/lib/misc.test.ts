import { createHash, webcrypto } from 'node:crypto';
import { describe, expect, it, vi } from 'vitest';
import { linesOf, wayTo } from './assets';
import { matchPath } from './match';
import { rootFromProof, toHex } from './merkle';
import { clockText, isoTime, parseTime, preciseText } from './time';
import type { Asset } from '../api';

// Browsers have it; Node 18 has it only in its module.
vi.stubGlobal('crypto', webcrypto);

describe('routes', () => {
  it('match by segment, with the rest for an asset path', () => {
    expect(matchPath('/', '/')).toEqual({});
    expect(matchPath('/alarms/:id', '/alarms/A-1')).toEqual({ id: 'A-1' });
    expect(matchPath('/alarms/:id', '/alarms')).toBeNull();
    expect(matchPath('/assets/*', '/assets/acme/line%201/pump')).toEqual({ rest: 'acme/line 1/pump' });
    expect(matchPath('/alarms', '/alarms/A-1')).toBeNull();
  });
});

describe('assets', () => {
  const asset = (path: string, thing: string | null): Asset => ({ path, name: '', title: '', thing, children: 0, state: 'running', active_alarms: 0, worst_priority: null });
  it('group machines by their line', () => {
    const lines = linesOf([asset('a/line-1', null), asset('a/line-1/pump', 'pump'), asset('a/line-1/filler', 'filler'), asset('a/line-2/x', 'x')]);
    expect(lines.map((l) => [l.title, l.machines.length])).toEqual([['Line 1', 2], ['Line 2', 1]]);
  });
  it('give the way to them', () => {
    expect(wayTo('a/b/c', [asset('a/b', null)])).toEqual([{ text: 'a', path: null }, { text: 'b', path: 'a/b' }]);
  });
});

describe('times', () => {
  const noon = new Date(2026, 4, 12, 14, 2, 10, 505).getTime();
  it('are in the viewer’s zone, with a date only when it is another day', () => {
    expect(clockText(noon, noon)).toBe('14:02');
    expect(clockText(noon, noon, true)).toBe('14:02:10');
    expect(clockText(noon, noon + 2 * 86_400_000)).toBe('12 May 14:02');
    expect(preciseText(noon)).toBe('14:02:10.505');
  });
  it('are missing rather than 1970', () => {
    expect(parseTime(null)).toBeNull();
    expect(parseTime('not a time')).toBeNull();
    expect(isoTime(0)).toBe('1970-01-01T00:00:00.000000Z');
  });
});

describe('audit proofs', () => {
  const sha = (...parts: Uint8Array[]) => new Uint8Array(createHash('sha256').update(Buffer.concat(parts)).digest());
  const leaf = (n: number) => sha(Uint8Array.of(0, n));
  const node = (a: Uint8Array, b: Uint8Array) => sha(Uint8Array.of(1), a, b);
  // RFC 6962 section 2.1.3: seven leaves, the path of leaf 0, 3, 4 and 6.
  const [a, b, c, d, e, f, j] = [0, 1, 2, 3, 4, 5, 6].map(leaf) as [Uint8Array, Uint8Array, Uint8Array, Uint8Array, Uint8Array, Uint8Array, Uint8Array];
  const [g, h, i] = [node(a, b), node(c, d), node(e, f)];
  const [k, l] = [node(g, h), node(i, j)];
  const root = toHex(node(k, l));
  it.each([
    [0, a, [b, h, l]],
    [3, d, [c, g, l]],
    [4, e, [f, j, k]],
    [6, j, [i, k]],
  ])('lead from leaf %i to the root', async (index, hash, path) => {
    expect(await rootFromProof(toHex(hash), index, 7, path.map(toHex))).toBe(root);
  });
  it('do not hold for another leaf or a wrong length', async () => {
    expect(await rootFromProof(toHex(b), 0, 7, [b, h, l].map(toHex))).not.toBe(root);
    await expect(rootFromProof(toHex(a), 0, 7, [toHex(b)])).rejects.toThrow('shorter');
    await expect(rootFromProof(toHex(a), 9, 7, [])).rejects.toThrow('leaf 9');
  });
});
