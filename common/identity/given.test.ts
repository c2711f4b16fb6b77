/** Certificates that somebody puts into a folder: when they count, and what becomes of changes. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { createCa, issueCertificate, type KeyPair } from '../../test/cluster/pki.js';
import { firstOf } from './first-of.js';
import { GivenIdentity } from './given.js';

let top: string;
let folder: string;
let ca: KeyPair;
let pairs: KeyPair[];
before(async () => {
  top = mkdtempSync(join(tmpdir(), 'lpm-given-'));
  ca = await createCa('given');
  const request = { commonName: 'x', usages: ['client' as const] };
  pairs = await Promise.all([
    issueCertificate(ca, request),
    issueCertificate(ca, request),
    issueCertificate(ca, { ...request, days: -1 / (24 * 60) }),
  ]);
});
after(() => rmSync(top, { recursive: true }));
beforeEach(() => {
  folder = mkdtempSync(join(top, 'f-'));
});

const put = (files: Record<string, string>, to = folder): void => {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(to, name), text);
};
const files = ({ cert, key }: KeyPair) => ({ 'tls.crt': cert, 'tls.key': key, 'ca.crt': ca.cert });

function open(folders = [folder]): { given: GivenIdentity; changes: () => number; problems: string[] } {
  const problems: string[] = [];
  const given = new GivenIdentity(folders, (problem) => problems.push(problem));
  let changes = 0;
  given.onChange(() => (changes += 1));
  given.close();
  return { given, changes: () => changes, problems };
}

const shown = ({ current }: GivenIdentity): string | undefined => current?.cert;

test('a folder that is not there or empty gives nothing, and gives it when the files come', () => {
  const { given, changes } = open([join(folder, 'none'), folder]);
  assert.equal(shown(given), undefined);
  put(files(pairs[0]!));
  given.look();
  assert.equal(shown(given), pairs[0]!.cert);
  given.look();
  assert.equal(changes(), 1, 'nothing has changed since');
});

test('the first folder that holds something counts', () => {
  const second = join(folder, 'second');
  mkdirSync(second);
  put(files(pairs[0]!));
  put(files(pairs[1]!), second);
  assert.equal(open([second, folder]).given.current?.cert, pairs[1]!.cert);
});

test('half of what is needed, or a key of another certificate, is said at the start', () => {
  put({ 'tls.crt': pairs[0]!.cert, 'tls.key': pairs[0]!.key });
  assert.throws(() => open(), /ca\.crt is missing/);
  put({ ...files(pairs[0]!), 'tls.key': pairs[1]!.key });
  assert.throws(() => open(), /the key is not that of the certificate/);
  put({ ...files(pairs[0]!), 'ca.crt': 'nothing' });
  assert.throws(() => open(), /authority is not PEM/);
});

test('files that are being replaced leave the identity as it is until they fit together', () => {
  put(files(pairs[0]!));
  const { given, problems, changes } = open();
  put({ 'tls.crt': pairs[1]!.cert });
  given.look();
  given.look();
  assert.equal(given.current?.cert, pairs[0]!.cert);
  assert.match(given.problem, /key is not that of the certificate/);
  assert.equal(problems.length, 1, 'said once');
  put({ 'tls.key': pairs[1]!.key });
  given.look();
  assert.equal(given.current?.cert, pairs[1]!.cert);
  assert.equal(given.problem, '');
  assert.equal(changes(), 1);
});

test('one that has expired is said', () => {
  put(files(pairs[2]!));
  assert.match(open().given.problem, /has expired \(.*\): put a new one there/);
});

test('what is given wins over what is issued', () => {
  const { given } = open();
  const other = mkdtempSync(join(top, 'f-'));
  put(files(pairs[1]!), other);
  const issued = open([other]).given;
  const source = firstOf(given, issued);
  let changes = 0;
  source.onChange(() => (changes += 1));
  assert.equal(source.current?.cert, pairs[1]!.cert);
  put(files(pairs[0]!));
  given.look();
  assert.equal(source.current?.cert, pairs[0]!.cert);
  assert.equal(changes, 1);
});
