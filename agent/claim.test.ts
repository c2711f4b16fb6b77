import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Claim } from '../proto/gen/lpm/v1/agent.js';
import { claimCommitted, claimRevoked, readClaim } from './claim.js';

const uid = (n: number): string => `00000000-0000-0000-0000-${String(n).padStart(12, '0')}`;

test('of many processes that claim at once exactly one wins, and its claim is whole', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'lpm-claim-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const winners = { committed: 0, revoked: 0 };
  for (let round = 0; round < 12; round++) {
    const pod = join(dir, String(round));
    mkdirSync(pod);
    // The handler's way: a file with its contents, linked to the name. All wait for one another before they link.
    const handlers = Array.from({ length: 6 }, (_, n) => {
      writeFileSync(join(pod, `mine.${n}`), `committed ${uid(n)}\n`);
      const script = `until [ -e go ]; do :; done; ln mine.${n} claim 2>/dev/null && echo won; cat claim`;
      const child = spawn('sh', ['-c', script], { cwd: pod });
      let said = '';
      child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
      return new Promise<string>((resolve) => child.on('close', () => resolve(said)));
    });
    // Every other round the agent comes a little later.
    writeFileSync(join(pod, 'go'), '');
    if (round % 2) await Promise.race(handlers);
    const mine = claimRevoked(pod, uid(99));
    const said = await Promise.all(handlers);
    const final = readFileSync(join(pod, 'claim'), 'utf8');
    const won = said.filter((each) => each.startsWith('won')).length;
    assert.equal(won + (mine.claim === Claim.CLAIM_REVOKED ? 1 : 0), 1);
    assert.match(final, /^(committed|revoked) [0-9-]{36}\n$/);
    for (const each of said) assert.equal(each.replace('won\n', ''), final, 'all see the same claim');
    assert.equal(mine.by, final.split(' ')[1]?.trim());
    winners[mine.claim === Claim.CLAIM_REVOKED ? 'revoked' : 'committed']++;
    assert.deepEqual(
      readdirSync(pod).filter((name) => name.endsWith('.tmp')),
      [],
    );
  }
  assert.ok(winners.committed > 0, JSON.stringify(winners));
});

test('a claim stays what it is: revoking twice is one revocation, and never undoes a commit', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'lpm-claim-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const pod = join(dir, 'never-heard-of');
  assert.deepEqual(claimRevoked(pod, uid(1)), { claim: Claim.CLAIM_REVOKED, by: uid(1) });
  assert.deepEqual(claimRevoked(pod, uid(2)), { claim: Claim.CLAIM_REVOKED, by: uid(1) });
  assert.deepEqual(claimCommitted(pod, uid(2)), { claim: Claim.CLAIM_REVOKED, by: uid(1) });
  const committed = join(dir, 'committed');
  mkdirSync(committed);
  assert.deepEqual(claimCommitted(committed, uid(3)), { claim: Claim.CLAIM_COMMITTED, by: uid(3) });
  assert.deepEqual(claimRevoked(committed, uid(4)), { claim: Claim.CLAIM_COMMITTED, by: uid(3) });
  assert.deepEqual(readClaim(join(dir, 'nothing')), { claim: Claim.CLAIM_NONE, by: '' });
});
