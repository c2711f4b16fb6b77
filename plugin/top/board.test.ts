import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PodMigration } from '../../common/api/schema.js';
import { paint } from '../terminal.js';
import { TopBoard } from './board.js';

const T0 = Date.parse('2026-11-23T16:00:00.000Z');
const at = (seconds: number) => new Date(T0 + seconds * 1000).toISOString();

function migration(name: string, status: PodMigration['status']): PodMigration {
  return {
    apiVersion: 'lpm.my.domain/v1',
    kind: 'PodMigration',
    metadata: { name, namespace: 'default', creationTimestamp: at(0) },
    spec: { podName: name, targetNode: 'k8s-master' },
    ...(status ? { status } : {}),
  };
}

const dumping = migration('redis', {
  phase: 'CheckpointInProgress',
  sourceNode: 'k8s-worker',
  targetNode: 'k8s-master',
  startTime: at(1),
  frozenAt: at(5),
  phaseTransitions: [{ phase: 'CheckpointInProgress', transitionTime: at(4) }],
  progress: { step: 'Dump', bytesDone: 50 * 1024 ** 2, bytesTotal: 200 * 1024 ** 2, since: at(5) },
});

function board(allNamespaces = false) {
  let now = T0 + 7000;
  const it = new TopBoard(
    allNamespaces,
    () => now,
    () => now,
  );
  return { it, wait: (ms: number) => (now += ms) };
}

test('each migration has a row: phase, time, bytes and rate, and the downtime counting up', () => {
  const { it, wait } = board();
  it.update('default/redis', dumping);
  it.update('default/web', migration('web', undefined));
  assert.equal(it.head, '2 migrations are going on.');
  assert.deepEqual(it.lines(Infinity, 10), [
    'NAME    POD     FROM         TO           PHASE                  ELAPSED   MOVED           RATE         FROZEN',
    'redis   redis   k8s-worker   k8s-master   CheckpointInProgress   6.0s      50 of 200 MiB   25.0 MiB/s   2.0s',
    'web     web     -            k8s-master   Pending                7.0s      -               -            -',
  ]);
  wait(1500);
  assert.match(it.lines(120, 10)[1] ?? '', /3\.5s$/);
});

test('one that ends stays for a moment, what had ended before and what only looks is not shown', () => {
  const { it, wait } = board();
  const over = migration('old', { phase: 'Succeeded', completionTime: at(1) });
  it.update('default/old', over);
  it.update('default/look', {
    ...migration('look', undefined),
    spec: { podName: 'look', preflightOnly: true },
  });
  assert.deepEqual([it.head, it.lines(120, 10)], ['No migration is going on.', []]);
  it.update('default/redis', dumping);
  it.update('default/redis', {
    ...dumping,
    status: { ...dumping.status, phase: 'Succeeded', completionTime: at(7), downtimeMilliseconds: 1234 },
  });
  assert.equal(it.head, 'No migration is going on.');
  assert.match(it.lines(120, 10)[1] ?? '', /Succeeded +6\.0s .* 1\.2s$/);
  wait(10_001);
  assert.deepEqual(it.lines(120, 10), []);
});

test('no line is wider than the terminal, and no more are drawn than it has', () => {
  const { it } = board(true);
  for (let index = 0; index < 30; index++)
    it.update(`default/m${index}`, migration(`m${index}`, dumping.status));
  const lines = it.lines(76, 8);
  assert.equal(lines.length, 8);
  for (const line of lines) assert.ok(line.length <= 76, line);
  assert.equal(lines.at(-1), '… and 24 more');
});

test('where there is less room, what tells least goes first, and what counts up keeps its place', () => {
  const { it } = board(true);
  const name = 'counter-migration-test-2sctb';
  it.update(name, { ...migration(name, dumping.status), spec: { podName: 'counter-migration-test' } });
  assert.deepEqual(it.lines(127, 5), [
    'NAMESPACE   NAME                           TO           PHASE                  ELAPSED   MOVED              RATE         FROZEN',
    'default     counter-migration-test-2sctb   k8s-master   CheckpointInProgress   6.0s      50 of 200 MiB      25.0 MiB/s   2.0s',
  ]);
  assert.deepEqual(it.lines(79, 5), [
    'NAMESPACE   NAME                         PHASE        MOVED              FROZEN',
    'default     counter-migration-test-2s…   Checkpoint   50 of 200 MiB      2.0s',
  ]);
  assert.deepEqual(it.lines(40, 5), [
    'NAME                 PHASE        FROZEN',
    'counter-migration…   Checkpoint   2.0s',
  ]);
  for (let width = 1; width < 200; width++) {
    for (const line of it.lines(width, 5)) assert.ok(line.length <= width, `${width}: ${line}`);
  }
});

test('how each of them fares is in its colour, and what else there is to say stands below', () => {
  const { it } = board();
  it.update('default/redis', dumping);
  it.update('default/redis', {
    ...dumping,
    status: { ...dumping.status, phase: 'Failed', reason: 'TimedOut' },
  });
  it.note('Cannot reach the cluster.');
  const [head, row, note] = it.lines(120, 5, paint(true));
  assert.match(head ?? '', /^\u001b\[1mNAME .*\u001b\[22m$/);
  assert.match(row ?? '', /^\u001b\[31mredis .*\u001b\[39m$/);
  assert.equal(note, '\u001b[33mCannot reach the cluster.\u001b[39m');
});
