import { describe, expect, it } from 'vitest';
import { brief, formatCount, formatDuration, formatNumber, formatPlain, formatSigned, formatValue, plural, sentence, unitText, withUnit, words } from './format';

describe('numbers', () => {
  it('get as many decimals as their magnitude deserves', () => {
    expect(formatNumber(5012)).toBe('5,012');
    expect(formatNumber(118.4)).toBe('118');
    expect(formatNumber(61)).toBe('61.0');
    expect(formatNumber(7.92)).toBe('7.9');
    expect(formatNumber(0.824)).toBe('0.82');
    expect(formatNumber(0.0041)).toBe('0.0041');
    expect(formatNumber(0.00001)).toBe('1.0e-5');
    expect(formatNumber(0)).toBe('0');
  });
  it('never turn a missing value into 0', () => {
    expect(formatNumber(null)).toBe('no value');
    expect(formatNumber(undefined)).toBe('no value');
    expect(formatNumber(NaN)).toBe('no value');
    expect(formatCount(null)).toBe('no value');
    expect(withUnit(null, 'bar')).toBe('no value');
  });
  it('have no negative zero and show the sign of a contribution', () => {
    expect(formatNumber(-0.02, 1)).toBe('0.0');
    expect(formatSigned(1.94)).toBe('+1.9');
    expect(formatSigned(-0.31)).toBe('-0.3');
    expect(formatSigned(0.01)).toBe('0.0');
  });
  it('keep what somebody wrote down as it was', () => {
    expect(formatPlain(16)).toBe('16');
    expect(formatPlain(91.2)).toBe('91.2');
    expect(formatPlain('signed')).toBe('signed');
    expect(formatPlain(null)).toBe('none');
  });
});

describe('units', () => {
  it('are printed as people write them', () => {
    expect(unitText('Cel')).toBe('°C');
    expect(unitText('m3/h')).toBe('m³/h');
    expect(unitText('N.m')).toBe('N·m');
    expect(unitText('kW.h')).toBe('kWh');
    expect(unitText('1')).toBe('');
    expect(unitText(null)).toBe('');
    expect(withUnit(6.2, 'bar')).toBe('6.2 bar');
  });
  it('go with any kind of value', () => {
    expect(formatValue(true)).toBe('on');
    expect(formatValue(42.4, 'm3/h')).toBe('42.4 m³/h');
    expect(formatValue('B')).toBe('B');
    expect(formatValue(null, 'bar')).toBe('no value');
  });
});

describe('durations', () => {
  it('use the two largest units', () => {
    expect(formatDuration(45)).toBe('45 s');
    expect(formatDuration(7 * 60 + 20)).toBe('7 min');
    expect(formatDuration(3600 * 8)).toBe('8 h');
    expect(formatDuration(3600 * 3 + 300)).toBe('3 h 5 min');
    expect(formatDuration(86400 * 2 + 3600 * 4)).toBe('2 d 4 h');
    expect(formatDuration(-5)).toBe('0 s');
    expect(formatDuration(null)).toBe('no time');
  });
});

describe('words', () => {
  it('come from codes', () => {
    expect(words('bearing_wear')).toBe('bearing wear');
    expect(sentence('seizure likely')).toBe('Seizure likely');
    expect(sentence('')).toBe('');
    expect(plural(1, 'alarm')).toBe('1 alarm');
    expect(plural(1200, 'alarm')).toBe('1,200 alarms');
  });
  it('make any JSON readable', () => {
    expect(brief({ primary: 'unplanned_downtime', target: '-30 %' })).toBe('primary unplanned_downtime; target -30 %');
    expect(brief([1.5, null, true])).toBe('1.5, none, yes');
  });
});
