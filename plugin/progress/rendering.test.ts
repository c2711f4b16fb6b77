import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MigrationPhase, PodMigration } from '../../common/api/schema.js';
import { ControllerClock } from './clock.js';
import { belowLines, rowLine } from './lines.js';
import { migrationView } from './migration.js';
import { News } from './plain.js';
import { failureLines, migrationSummary } from './summary.js';

const T0 = Date.parse('2026-11-23T16:00:00.000Z');
const at = (ms: number) => new Date(T0 + ms).toISOString();
const GiB = 1024 ** 3;

type Status = NonNullable<PodMigration['status']>;
function migration(phases: [MigrationPhase, number][], status: Partial<Status> = {}): PodMigration {
  return {
    apiVersion: 'lpm.my.domain/v1',
    kind: 'PodMigration',
    metadata: { name: 'counter-x7k2p', namespace: 'default', creationTimestamp: at(0) },
    spec: { podName: 'counter', targetNode: 'k8s-master' },
    ...(phases.length === 0
      ? {}
      : {
          status: {
            phase: phases.at(-1)?.[0],
            phaseTransitions: phases.map(([phase, ms]) => ({ phase, transitionTime: at(ms) })),
            ...status,
          } as Status,
        }),
  };
}
const drawn = (object: PodMigration, now: number, columns: number) => {
  const view = migrationView(object, T0 + now);
  return [...view.rows.map((row) => rowLine(row, columns)), ...belowLines(view, [])];
};

const dumping = migration(
  [
    ['Pending', 0],
    ['CheckpointInProgress', 900],
  ],
  {
    restoredPodName: 'counter-restored',
    targetNode: 'k8s-master',
    frozenAt: at(1000),
    progress: { step: 'Dump', bytesDone: GiB / 2, bytesTotal: GiB, since: at(1000) },
    warnings: ['2 open TCP connections will be closed.'],
  },
);

test('a migration that is dumping shows bytes, rate, times, and how long the pod is frozen', () => {
  assert.deepEqual(drawn(dumping, 2000, 80), [
    'Prepare     counter-restored prepared on k8s-master                         0.9s',
    'Checkpoint  dumping memory 0.5 of 1.0 GiB, 512 MiB/s                        1.1s',
    'Transfer',
    'Restore',
    'the pod is frozen for 1.0s',
    'warning: 2 open TCP connections will be closed.',
  ]);
});

test('no row is wider than the terminal, and a wide terminal pulls nothing apart', () => {
  const long = migration([['Pending', 0]], { message: 'Waiting for the image '.repeat(20) });
  for (const columns of [40, 60, 80, 200]) {
    for (const line of drawn(long, 500, columns).slice(0, 4)) {
      assert.ok(line.length <= Math.min(columns, 110), `${line.length} of ${columns}: ${line}`);
    }
  }
  assert.match(drawn(long, 500, 80)[0] ?? '', /…\s+0\.5s$/);
  assert.equal(drawn(dumping, 2000, 200)[0]?.length, 110);
});

test('before the controller has taken it up the first row says so', () => {
  assert.match(drawn(migration([]), 3000, 80)[0] ?? '', /^Prepare {5}waiting for the controller\s+3\.0s$/);
});

test('a failed migration marks the row in which it ended, and counts no downtime any more', () => {
  const failed = migration(
    [
      ['Pending', 0],
      ['CheckpointInProgress', 900],
      ['Failed', 1500],
    ],
    { frozenAt: at(1000), reason: 'CriuDumpFailed' },
  );
  const view = migrationView(failed, T0 + 60_000);
  assert.deepEqual(
    view.rows.map(({ state }) => state),
    ['done', 'failed', 'waiting', 'waiting'],
  );
  assert.equal(view.rows[1]?.detail, 'CriuDumpFailed');
  assert.equal(view.rows[1]?.elapsedMs, 600);
  assert.equal(view.frozenMs, undefined);
});

test('the pod counts as frozen from the wish to freeze until the restored processes execute', () => {
  const condition = (type: string, status: 'True' | 'False', ms: number) => ({
    type,
    status,
    reason: 'R',
    message: '',
    lastTransitionTime: at(Math.floor(ms / 1000) * 1000),
  });
  const phases: [MigrationPhase, number][] = [
    ['Pending', 0],
    ['CheckpointInProgress', 900],
  ];
  const frozen = (status: Partial<Status>) => migrationView(migration(phases, status), T0 + 2000).frozenMs;
  assert.equal(frozen({}), undefined, 'not asked to freeze yet');
  assert.equal(frozen({ conditions: [condition('Checkpointed', 'False', 900)] }), 1100);
  assert.equal(frozen({ conditions: [condition('Checkpointed', 'False', 1500)] }), 1000);
  assert.equal(frozen({ frozenAt: at(950), conditions: [condition('Checkpointed', 'True', 1200)] }), 1050);
  assert.equal(frozen({ frozenAt: at(950), conditions: [condition('Committed', 'True', 1200)] }), undefined);
  assert.equal(
    frozen({ frozenAt: at(950), conditions: [condition('RollingBack', 'True', 1200)] }),
    undefined,
  );
});

test('a migration that rolls back says so instead of the bytes of its last step', () => {
  const rolling = migration([['CheckpointInProgress', 0]], {
    message: 'Rolling back: the dump failed.',
    progress: { step: 'Dump', bytesDone: 1, bytesTotal: 2 },
    conditions: [
      { type: 'RollingBack', status: 'True', reason: 'R', message: '', lastTransitionTime: at(100) },
    ],
  });
  assert.equal(migrationView(rolling, T0 + 500).rows[1]?.detail, 'Rolling back: the dump failed.');
});

const succeeded = migration(
  [
    ['Pending', 0],
    ['CheckpointInProgress', 900],
    ['CheckpointCompleted', 1150],
    ['MigrationInProgress', 1160],
    ['RestoreInProgress', 1300],
    ['Succeeded', 2100],
  ],
  {
    sourceNode: 'k8s-worker',
    targetNode: 'k8s-master',
    restoredPodName: 'counter-restored',
    frozenAt: at(950),
    downtimeMilliseconds: 446,
    downtimeErrorMilliseconds: 2,
    totalMilliseconds: 2100,
    bytesTransferred: 1_258_291,
    steps: [
      { name: 'Freeze', milliseconds: 34 },
      { name: 'Dump', milliseconds: 180 },
      { name: 'Transfer', milliseconds: 2 },
      { name: 'Restore', milliseconds: 230 },
    ],
  },
);

test('a migration that succeeded shows what each row did', () => {
  assert.deepEqual(
    migrationView(succeeded, T0 + 60_000).rows.map(({ state, detail, elapsedMs }) => [
      state,
      detail,
      elapsedMs,
    ]),
    [
      ['done', 'counter-restored prepared on k8s-master', 900],
      ['done', 'freeze 34 ms, dump 180 ms', 260],
      ['done', '1.2 MiB moved, transfer 2 ms', 140],
      ['done', 'restore 230 ms', 800],
    ],
  );
});

test('the closing summary tells from, to, downtime with its error, total and bytes in 80 columns', () => {
  const lines = migrationSummary(succeeded);
  assert.deepEqual(lines, [
    'Migrated pod default/counter.',
    '  From:       counter on k8s-worker',
    '  To:         counter-restored on k8s-master',
    '  Downtime:   446 ms ± 2 ms',
    '              freeze 34 ms, dump 180 ms, transfer 2 ms, restore 230 ms',
    '  Total:      2.10 s',
    '  Moved:      1.2 MiB',
  ]);
});

test('a failure tells what, which object, why and what to do next', () => {
  const failed = migration([['Failed', 100]], {
    message: 'CRIU could not dump the process 17',
    reason: 'CriuDumpFailed',
    hint: 'Look at the dump log',
  });
  assert.deepEqual(failureLines(failed), [
    'The migration counter-x7k2p of pod default/counter failed: CRIU could not dump the process 17.',
    'Reason: CriuDumpFailed',
    'Next: Look at the dump log.',
  ]);
});

test('plain lines tell each thing once', () => {
  const news = new News();
  const first = migration([['Pending', 0]], { message: 'Looking at the pod.' });
  assert.deepEqual(news.of(first, T0), ['Pending: Looking at the pod.']);
  assert.deepEqual(news.of(first, T0), []);
  assert.deepEqual(news.of({ ...dumping, status: { ...dumping.status, message: 'Freezing.' } }, T0), [
    'CheckpointInProgress: Freezing. (Pending took 0.9s)',
    'the pod is frozen',
    'warning: 2 open TCP connections will be closed.',
  ]);
});

test('a laptop that is behind or ahead of the controller counts no wrong seconds', () => {
  for (const skew of [-90_000, 0, 90_000]) {
    let local = T0 + skew;
    const clock = new ControllerClock(() => local);
    clock.see([at(-5000)]);
    local += 50;
    clock.see([at(0)]);
    local += 1000;
    const off = Math.abs(clock.read() - T0 - 1000);
    assert.ok(off <= 60, `skew ${skew}: off by ${off} ms`);
  }
});
