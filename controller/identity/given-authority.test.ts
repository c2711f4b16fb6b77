/** An authority that somebody else keeps in a folder. */
import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { bundleOf } from './authorities.js';
import { CONTROLLER_PROFILE, issue, makeAuthority, type KeyPair } from './certificates.js';
import { GivenAuthority } from './given-authority.js';

const HOUR = 3600_000;
let folder: string;
let first: KeyPair;
let second: KeyPair;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'lpm-authority-'));
  [first, second] = await Promise.all([makeAuthority(HOUR), makeAuthority(HOUR)]);
});
after(() => rmSync(folder, { recursive: true }));

const put = ({ cert, key }: KeyPair): void => {
  writeFileSync(join(folder, 'tls.crt'), cert);
  writeFileSync(join(folder, 'tls.key'), key);
};

test('it signs, and when it is replaced the one before is still believed', async () => {
  put(first);
  const authority = new GivenAuthority(folder);
  assert.deepEqual((await authority.read()).current, first);
  put(second);
  const now = await authority.read();
  assert.deepEqual(now.current, second);
  assert.equal(bundleOf(now), second.cert + first.cert);
  assert.equal(await authority.read(), now, 'nothing has changed since');
});

test('what cannot sign is refused with the reason', async () => {
  const leaf = await issue(first, CONTROLLER_PROFILE, HOUR);
  const sec1 = createPrivateKey(first.key).export({ type: 'sec1', format: 'pem' }).toString();
  for (const [pair, why] of [
    [{ cert: 'x', key: first.key }, /not PEM/],
    [leaf, /not that of an authority/],
    [{ cert: first.cert, key: second.key }, /not the key of tls\.crt/],
    [{ cert: first.cert, key: sec1 }, /not PKCS #8/],
  ] as const) {
    put(pair);
    await assert.rejects(new GivenAuthority(folder).read(), why);
  }
});
