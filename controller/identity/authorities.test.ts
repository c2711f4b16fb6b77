/** When an authority is made, published, lets its successor sign, and is forgotten. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { afterStep, bundleOf, nextStep, type Authorities, type Step } from './authorities.js';
import { issue, makeAuthority, CONTROLLER_PROFILE, type KeyPair } from './certificates.js';

const DAY = 24 * 3600_000;
const START = Date.parse('2026-01-01T00:00:00Z');
const times = { lifetimeMs: 300 * DAY, overlapMs: DAY };
const at = (days: number): number => START + days * DAY;

let first: KeyPair;
let second: KeyPair;
before(async () => {
  first = await makeAuthority(times.lifetimeMs, START);
  second = await makeAuthority(times.lifetimeMs, at(200));
});

test('what is to be done follows from what is there and the time', () => {
  const cases: [string, Authorities, number, Step][] = [
    ['nothing is there', { old: [] }, 0, 'create'],
    ['it is young', { current: first, old: [] }, 100, 'keep'],
    ['two thirds of its life are over', { current: first, old: [] }, 200, 'prepare'],
    ['its successor was published just now', { current: first, next: second, old: [] }, 200.5, 'keep'],
    ['everybody has heard of its successor', { current: first, next: second, old: [] }, 201, 'switch'],
    ['it has ended before anybody came to replace it', { current: first, old: [] }, 301, 'create'],
    ['it has ended and its successor waits', { current: first, next: second, old: [] }, 301, 'switch'],
    ['an old one still counts', { current: second, old: [first.cert] }, 299, 'keep'],
    ['an old one has ended', { current: second, old: [first.cert] }, 301, 'prune'],
  ];
  for (const [what, authorities, days, step] of cases) {
    assert.equal(nextStep(authorities, times, at(days)), step, what);
  }
});

test('a successor is made sooner when somebody asks for it, once', () => {
  assert.equal(nextStep({ current: first, old: [] }, times, at(1), true), 'prepare');
  assert.equal(nextStep({ current: first, next: second, old: [] }, times, at(200.5), true), 'keep');
});

test('each step leaves every authority believed whose certificates are in use', () => {
  let authorities: Authorities = afterStep({ old: [] }, 'create', at(0), first);
  assert.equal(bundleOf(authorities), first.cert);
  authorities = afterStep(authorities, 'prepare', at(200), second);
  assert.equal(bundleOf(authorities), first.cert + second.cert);
  assert.equal(authorities.current, first, 'the old one signs');
  authorities = afterStep(authorities, 'switch', at(201));
  assert.equal(bundleOf(authorities), second.cert + first.cert);
  assert.deepEqual(authorities, { current: second, old: [first.cert] }, 'the key of the old one is gone');
  authorities = afterStep(authorities, 'prune', at(301));
  assert.equal(bundleOf(authorities), second.cert);
});

test('a certificate does not outlive the authority that signed it', async () => {
  const { X509Certificate } = await import('node:crypto');
  const { cert } = await issue(first, CONTROLLER_PROFILE, 10 * DAY, at(295));
  assert.equal(new X509Certificate(cert).validTo, new X509Certificate(first.cert).validTo);
});
