import assert from 'node:assert/strict';
import { test } from 'node:test';
import { migrationTable } from '../list/rows.js';
import { statusReport } from '../status/report.js';
import {
  CHECK,
  deletionRefused,
  migrationWith,
  STUCK_SINCE,
  targetSilent,
  TRIED,
  condition,
  type Status,
} from '../stuck.testing.js';
import { belowLines } from './lines.js';
import { migrationView } from './migration.js';
import { News } from './plain.js';
import { stuckOf } from './stuck.js';
import { failureLines } from './summary.js';

const NOW = Date.parse(STUCK_SINCE) + 65_000;
const RESOLVE = 'kubectl migrate resolve counter-x7k2p -n shop --keep';
const KEEP_SOURCE = `${RESOLVE} source # if no process of the pod can run on node k8s-master any more (it is switched off for good)`;
const KEEP_TARGET = `${RESOLVE} target # if pod counter-restored runs there`;
const stuck = migrationWith(targetSilent);

test('a stuck migration shows below its row for how long, with what, what to check and how to decide', () => {
  const view = migrationView(stuck, NOW);
  assert.equal(view.rows[3]?.detail, `stuck: ${TRIED}`);
  assert.deepEqual(belowLines(view, []), [
    `stuck for 1m05s: ${TRIED}`,
    `check: ${CHECK}`,
    `decide: ${KEEP_SOURCE}`,
    `decide: ${KEEP_TARGET}`,
  ]);
});

test('plain lines say it once, and once more that it is over', () => {
  const news = new News();
  assert.deepEqual(news.of(stuck, NOW), [
    'RestoreInProgress: ' + TRIED,
    `stuck since 2026-11-23T16:00:05Z: ${TRIED}`,
    `check: ${CHECK}`,
    `decide: ${KEEP_SOURCE}`,
    `decide: ${KEEP_TARGET}`,
    'RollingBack: The migration was not done within 10 s.',
  ]);
  assert.deepEqual(news.of(stuck, NOW + 1000), []);
  const over: Status = {
    ...targetSilent,
    conditions: [condition('Stuck', 'False', 'Continues', 'What kept the migration from going on is over.')],
  };
  assert.deepEqual(news.of(migrationWith(over), NOW + 2000), ['no longer stuck']);
});

test('who has decided is not asked again, and where no decision helps none is offered', () => {
  const decided: Status = {
    ...targetSilent,
    conditions: [...(targetSilent.conditions ?? []), condition('Resolved', 'True', 'KeepSource', 'Decided.')],
  };
  assert.deepEqual(stuckOf(migrationWith(decided))?.sides, {});
  assert.deepEqual(stuckOf(migrationWith(deletionRefused))?.sides, {});
});

test('status and list call it stuck', () => {
  const report = statusReport(stuck, { now: NOW, width: undefined, unicode: true }).join('\n');
  assert.match(report, /\nStuck: +for 65s \(since 2026-11-23T16:00:05Z\): Revoking the restore/);
  assert.match(report, /\nCheck: +Is the node up\?/);
  assert.match(report, /\nDecide: +kubectl migrate resolve .* --keep source .*\n +kubectl .* --keep target /);
  assert.doesNotMatch(report, /\nMessage:/);
  const table = migrationTable([stuck], { wide: true, allNamespaces: false, now: NOW });
  assert.match(table[1] ?? '', / Stuck +<none> +AgentNotReachable /);
});

test('a canceled migration is called canceled, with what became of its pod', () => {
  const canceled = migrationWith({
    phase: 'Failed',
    reason: 'Canceled',
    message: 'Migration counter-x7k2p was canceled. Pod counter runs on as before on node k8s-worker.',
    conditions: [condition('Failed', 'True', 'Canceled', 'Migration counter-x7k2p was canceled.')],
  });
  assert.deepEqual(failureLines(canceled), [
    'The migration counter-x7k2p of pod shop/counter was canceled. Pod counter runs on as before on node k8s-worker.',
  ]);
  assert.match(
    migrationTable([canceled], { wide: false, allNamespaces: false, now: NOW })[1] ?? '',
    / Canceled /,
  );
  assert.match(
    statusReport(canceled, { now: NOW, width: 80, unicode: true }).join('\n'),
    /\nPhase: +Failed \(canceled\)\nReason: +Canceled\n/,
  );
});
