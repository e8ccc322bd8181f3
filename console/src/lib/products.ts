// Data products in words, and the three lines that read one.
import type { AccessRequest, Product } from '../api';
import { formatDuration } from './format';

type Fresh = Pick<Product, 'freshness_s' | 'promised_freshness_s'>;

// Older than was promised: worth a sign.
export function isLate(product: Fresh): boolean {
  return product.freshness_s !== null && product.promised_freshness_s !== null && product.freshness_s > product.promised_freshness_s;
}

export function freshnessText(product: Fresh): string {
  if (product.freshness_s === null) return 'no data yet';
  const age = product.freshness_s < 1 ? 'now' : `${formatDuration(product.freshness_s)} ago`;
  return isLate(product) ? `▼ ${age}, promised ${formatDuration(product.promised_freshness_s)}` : age;
}

export function accessText(product: Pick<Product, 'access' | 'may_read'>): string {
  if (product.access === 'open') return 'open';
  return product.may_read ? 'granted to you' : 'on request';
}

const STATES: Record<AccessRequest['state'], string> = { open: 'waits for the owner', granted: 'granted', denied: 'denied', revoked: 'revoked', expired: 'has ended' };
export const requestText = (request: Pick<AccessRequest, 'state'>): string => STATES[request.state];

// As DuckDB wants the name of a table.
export function tableName(product: string): string {
  return /^[a-z_][a-z0-9_]*$/i.test(product) ? product : `"${product.replaceAll('"', '""')}"`;
}

export interface Snippet {
  title: string;
  text: string;
}

// Three lines each; TOKEN is made on the page of tokens.
export function snippets(origin: string, product: string): Snippet[] {
  const data = `${origin}/api/v1/products/${encodeURIComponent(product)}/data?format=parquet`;
  return [
    {
      title: 'pandas',
      text: `import pandas\nauth = {"Authorization": "Bearer TOKEN"}\nframe = pandas.read_parquet("${data}", storage_options=auth)`,
    },
    {
      title: 'DuckDB',
      text: `import duckdb, requests\nopen("${product}.parquet", "wb").write(requests.get("${data}", headers={"Authorization": "Bearer TOKEN"}).content)\nprint(duckdb.sql("SELECT point, avg(value) FROM '${product}.parquet' GROUP BY point"))`,
    },
    {
      title: 'SQL',
      text: `curl -s -H "Authorization: Bearer TOKEN" -H "Accept: text/csv" \\\n  --data-urlencode "sql=SELECT point, avg(value) AS mean FROM ${tableName(product).replaceAll('"', '\\"')} GROUP BY point" \\\n  -G ${origin}/api/v1/sql`,
    },
  ];
}

// What a person asks first of a product.
export const firstQuestion = (product: string): string =>
  `SELECT point, count(*) AS samples, round(avg(value), 3) AS mean, max(time) AS newest\nFROM ${tableName(product)}\nGROUP BY point\nORDER BY point`;
