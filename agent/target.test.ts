import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Claim } from '../proto/gen/lpm/v1/agent.js';
import { nextStep, type NextStep, type TargetContainer } from './target.js';

const { CLAIM_NONE, CLAIM_COMMITTED, CLAIM_REVOKED } = Claim;
const handler = { pid: 1, startTime: '1', containerId: 'c1', bundle: '/b', deadline: 1, alive: true };
const fresh: TargetContainer = {
  name: 'main',
  folder: '/x',
  handler: undefined,
  staged: true,
  readyFor: undefined,
  attempted: false,
  held: undefined,
  restoredAt: undefined,
  failure: undefined,
};
const failure = { sentence: 'boom', log: '' };
const dead = { ...handler, alive: false };
const held = { containerId: 'c1', cgroup: '/sys/fs/cgroup/c1' };
const restoredAt = new Date();
const holds: Partial<TargetContainer> = { attempted: true, held };

const table: [name: string, claim: Claim, pod: Partial<TargetContainer>[], step: NextStep['do']][] = [
  ['no handler yet: wait', CLAIM_NONE, [{}], 'wait'],
  ['a handler that waits is prepared', CLAIM_NONE, [{ handler }], 'prepare'],
  ['one that was prepared is waited for', CLAIM_NONE, [{ handler, readyFor: 'c1' }], 'wait'],
  ['the next handler is prepared anew', CLAIM_NONE, [{ handler, readyFor: 'c0' }], 'prepare'],
  [
    'a handler that is gone without an attempt may come again',
    CLAIM_NONE,
    [{ handler: dead, readyFor: 'c1' }],
    'wait',
  ],
  ['a restore under way is waited for', CLAIM_NONE, [{ handler, readyFor: 'c1', attempted: true }], 'wait'],
  [
    'a failed restore has failed',
    CLAIM_NONE,
    [{ handler: dead, readyFor: 'c1', attempted: true, failure }],
    'failed',
  ],
  [
    'a handler killed in its restore is lost',
    CLAIM_NONE,
    [{ handler: dead, readyFor: 'c1', attempted: true }],
    'lost',
  ],
  ['what is held is to be committed', CLAIM_NONE, [holds], 'commit'],
  ['also while its handler still answers', CLAIM_NONE, [{ ...holds, handler, readyFor: 'c1' }], 'commit'],
  ['what is held waits for the other containers', CLAIM_NONE, [holds, {}], 'wait'],
  ['the next container is prepared while the first is held', CLAIM_NONE, [holds, { handler }], 'prepare'],
  ['one that fails fails the pod', CLAIM_NONE, [holds, { attempted: true, failure }], 'failed'],
  ['all of them are committed together', CLAIM_NONE, [holds, holds], 'commit'],
  ['revoked wins over everything before the commit', CLAIM_REVOKED, [holds], 'revoked'],
  ['what is claimed is let go', CLAIM_COMMITTED, [holds], 'release'],
  ['all of it', CLAIM_COMMITTED, [{ ...holds, restoredAt }, holds], 'release'],
  ['restored is restored', CLAIM_COMMITTED, [{ ...holds, restoredAt }], 'restored'],
  [
    'what executes without having been held is waited for until its handler has said what it holds',
    CLAIM_COMMITTED,
    [{ attempted: true, handler }],
    'wait',
  ],
  [
    'what has executed and is gone is restored',
    CLAIM_COMMITTED,
    [{ attempted: true, restoredAt }],
    'restored',
  ],
];
for (const [name, claim, pod, step] of table) {
  test(name, () =>
    assert.equal(
      nextStep(
        claim,
        pod.map((more) => ({ ...fresh, ...more })),
      ).do,
      step,
    ),
  );
}
