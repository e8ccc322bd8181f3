import { describe, expect, it } from 'vitest';
import { accessText, firstQuestion, freshnessText, isLate, requestText, snippets, tableName } from './products';

describe('freshness', () => {
  it('is in words, with a sign when late', () => {
    expect(freshnessText({ freshness_s: null, promised_freshness_s: 60 })).toBe('no data yet');
    expect(freshnessText({ freshness_s: 0.2, promised_freshness_s: null })).toBe('now');
    expect(freshnessText({ freshness_s: 30, promised_freshness_s: 60 })).toBe('30 s ago');
    expect(freshnessText({ freshness_s: 120, promised_freshness_s: 60 })).toBe('▼ 2 min ago, promised 1 min');
    expect(isLate({ freshness_s: 60, promised_freshness_s: 60 })).toBe(false);
    expect(isLate({ freshness_s: null, promised_freshness_s: 60 })).toBe(false);
  });
});

describe('access', () => {
  it('says what it means for me', () => {
    expect(accessText({ access: 'open', may_read: true })).toBe('open');
    expect(accessText({ access: 'request', may_read: true })).toBe('granted to you');
    expect(accessText({ access: 'request', may_read: false })).toBe('on request');
    expect(requestText({ state: 'expired' })).toBe('has ended');
  });
});

describe('three lines', () => {
  it('name the product as the reader must write it', () => {
    expect(tableName('pump')).toBe('pump');
    expect(tableName('energy-meter')).toBe('"energy-meter"');
    expect(tableName('a"b')).toBe('"a""b"');
    for (const { text } of snippets('https://node:8443', 'energy meter')) expect(text.split('\n')).toHaveLength(3);
    expect(snippets('https://node:8443', 'energy meter')[0]?.text).toContain('https://node:8443/api/v1/products/energy%20meter/data?format=parquet');
    expect(firstQuestion('energy-meter')).toContain('FROM "energy-meter"');
  });
});
