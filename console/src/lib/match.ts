// "/alarms/:id" against a path; a final "*" takes the rest with its slashes. Null: does not fit.
export function matchPath(pattern: string, path: string): Record<string, string> | null {
  const wanted = pattern.split('/').filter(Boolean);
  const given = path.split('/').filter(Boolean);
  const found: Record<string, string> = {};
  for (const [i, segment] of wanted.entries()) {
    if (segment === '*') return { ...found, rest: given.slice(i).map(decode).join('/') };
    const value = given[i];
    if (value === undefined) return null;
    if (segment.startsWith(':')) found[segment.slice(1)] = decode(value);
    else if (segment !== value) return null;
  }
  return wanted.length === given.length ? found : null;
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
