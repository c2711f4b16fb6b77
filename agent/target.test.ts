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
  held: false,
  executed: false,
  completed: false,
  restoredAt: undefined,
  failure: undefined,
};
const failure = { sentence: 'boom', log: '' };
const dead = { ...handler, alive: false };

const table: [name: string, claim: Claim, more: Partial<TargetContainer>, step: NextStep][] = [
  ['no handler yet: wait', CLAIM_NONE, {}, 'wait'],
  ['a handler that waits is prepared', CLAIM_NONE, { handler }, 'prepare'],
  ['one that was prepared is waited for', CLAIM_NONE, { handler, readyFor: 'c1' }, 'wait'],
  ['the next handler is prepared anew', CLAIM_NONE, { handler, readyFor: 'c0' }, 'prepare'],
  [
    'a handler that is gone without an attempt may come again',
    CLAIM_NONE,
    { handler: dead, readyFor: 'c1' },
    'wait',
  ],
  ['a restore under way is waited for', CLAIM_NONE, { handler, readyFor: 'c1', attempted: true }, 'wait'],
  [
    'a failed restore has failed',
    CLAIM_NONE,
    { handler: dead, readyFor: 'c1', attempted: true, failure },
    'failed',
  ],
  [
    'a handler killed in its restore is lost',
    CLAIM_NONE,
    { handler: dead, readyFor: 'c1', attempted: true },
    'lost',
  ],
  [
    'revoked wins over everything before the commit',
    CLAIM_REVOKED,
    { handler, readyFor: 'c1', attempted: true },
    'revoked',
  ],
  [
    'after the commit a failure is waited out',
    CLAIM_COMMITTED,
    { handler: dead, attempted: true, failure },
    'wait',
  ],
  [
    'after the commit the next handler is prepared',
    CLAIM_COMMITTED,
    { handler, readyFor: 'c0', attempted: true, failure },
    'prepare',
  ],
  [
    'executed but without its time: wait',
    CLAIM_COMMITTED,
    { attempted: true, executed: true, handler: dead },
    'wait',
  ],
  [
    'restored is restored',
    CLAIM_COMMITTED,
    { attempted: true, executed: true, restoredAt: new Date() },
    'restored',
  ],
];
for (const [name, claim, more, step] of table) {
  test(name, () => assert.equal(nextStep(claim, { ...fresh, ...more }), step));
}
