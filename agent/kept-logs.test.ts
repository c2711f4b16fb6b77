import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test, type TestContext } from 'node:test';
import type { Context } from './context.js';
import { discardCheckpoint, discardStage } from './discard.js';
import { endOf, keepDumpLogs, readLogs, removeOldLogs } from './kept-logs.js';
import { StateDir } from './state.js';

const CHECKPOINT = '11111111-1111-4111-8111-111111111111';
const RESTORE = '22222222-2222-4222-8222-222222222222';
const POD = '33333333-3333-4333-8333-333333333333';
const DAYS = 24 * 3600 * 1000;

function contextIn(t: TestContext): Context & { warnings: string[] } {
  const root = mkdtempSync(join(tmpdir(), 'lpm-logs-'));
  t.after(() => rmSync(root, { recursive: true }));
  const warnings: string[] = [];
  const log = { warn: (message: string) => warnings.push(message) };
  return { state: new StateDir(root), log, warnings } as unknown as Context & { warnings: string[] };
}

function put(file: string, text: string): string {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  return file;
}

test('the log of a dump outlives its artifacts, whether the dump succeeded or not', async (t) => {
  const context = contextIn(t);
  const { state } = context;
  const partial = state.partialArtifacts(CHECKPOINT);
  put(join(partial, 'counter/work/dump.log'), '(00.1) Error (criu/x.c:1): boom\n');
  put(join(partial, 'counter/work/runtime.log'), 'criu failed: type NOTIFY errno 0\n');
  put(join(partial, 'operation.json'), '{}');
  await keepDumpLogs(context, CHECKPOINT, partial);
  rmSync(partial, { recursive: true });
  const logs = await readLogs(context, CHECKPOINT, '', 0);
  assert.deepEqual(
    logs.map(({ containerName, name, text }) => [containerName, name, text]),
    [
      ['counter', 'dump.log', '(00.1) Error (criu/x.c:1): boom\n'],
      ['counter', 'runtime.log', 'criu failed: type NOTIFY errno 0\n'],
    ],
  );
  assert.equal(statSync(join(state.logs(CHECKPOINT), 'counter.dump.log')).mode & 0o777, 0o600);

  const dumped = put(join(state.artifacts(RESTORE), 'counter/dump.log'), '(00.2) Dumping finished\n');
  const when = new Date(1_700_000_000_000);
  utimesSync(dumped, when, when);
  await discardCheckpoint(context, RESTORE);
  assert.equal(existsSync(state.artifacts(RESTORE)), false);
  const [kept] = await readLogs(context, RESTORE, '', 0);
  assert.equal(kept?.text, '(00.2) Dumping finished\n');
  assert.deepEqual(kept.endedAt, when, 'its time is that of its last line');
  assert.deepEqual(context.warnings, []);
});

test('the logs of every attempt to restore are there before and after the stage is discarded', async (t) => {
  const context = contextIn(t);
  const pod = context.state.pod(POD);
  put(join(pod, 'restore.json'), JSON.stringify({ restoreUid: RESTORE }));
  const attempts = join(pod, 'containers/counter/attempted');
  put(join(attempts, '1/work/restore.log'), 'first\n');
  put(join(attempts, '1/action.log'), 'the deadline has passed\n');
  put(join(attempts, '1/layer.log'), '');
  const names = async (podUid: string) =>
    (await readLogs(context, RESTORE, podUid, 0)).map(({ name }) => name);
  assert.deepEqual(await names(''), [], 'nothing was gathered yet');
  assert.deepEqual(await names(POD), ['action-1.log', 'restore-1.log']);
  put(join(attempts, '2/work/restore.log'), 'second\n');
  await discardStage(context, POD);
  rmSync(pod, { recursive: true });
  assert.deepEqual(await names(POD), ['action-1.log', 'restore-1.log', 'restore-2.log']);
});

test('a log that is cut says how much is missing and repeats the errors in it', async (t) => {
  const cause = '(00.100000) Error (criu/mount.c:1): mnt: the cause';
  const log = `${cause}\n${'(00.200000) some line\n'.repeat(100)}(00.3) Error (criu/cr-dump.c:1): Dumping FAILED.\n`;
  assert.equal(endOf(log, log.length), log);
  const [note, errors, end, ...rest] = endOf(log, 200).split('\n');
  assert.match(note ?? '', /^\(the first \d+ bytes are left out; the errors in them:\)$/);
  assert.equal(errors, 'Error (criu/mount.c:1): mnt: the cause');
  assert.equal(end, '(end of the errors)');
  assert.equal(rest[0], '(00.200000) some line', 'whole lines');
  assert.ok(rest.join('\n').length <= 200);

  const context = contextIn(t);
  const file = join(context.state.artifacts(CHECKPOINT), 'counter/dump.log');
  put(file, `${cause}\n${'x'.repeat(99)}\n`.repeat(30_000));
  const [kept] = await readLogs(context, CHECKPOINT, '', 1000);
  assert.ok(kept && Buffer.byteLength(kept.text) < 1000 + 5000, 'bounded for the caller');
  const onDisk = readFileSync(join(context.state.logs(CHECKPOINT), 'counter.dump.log'), 'utf8');
  assert.ok(onDisk.length < 1.1 * 1024 * 1024, 'bounded on disk');
});

test('old logs go, and of many the oldest', async (t) => {
  const { state } = contextIn(t);
  const now = Date.now();
  const folder = (index: number): string =>
    join(state.logsRoot, `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`);
  for (let index = 0; index < 70; index += 1) {
    put(join(folder(index), 'counter.dump.log'), 'x');
    const at = new Date(now - index * 60_000);
    utimesSync(folder(index), at, at);
  }
  await removeOldLogs(state, now);
  assert.equal(existsSync(folder(63)), true);
  assert.equal(existsSync(folder(64)), false);
  await removeOldLogs(state, now + 15 * DAYS);
  assert.equal(existsSync(folder(0)), false);
});

test('a disk that takes no log disturbs nothing', async (t) => {
  const context = contextIn(t);
  const { state } = context;
  put(join(state.artifacts(CHECKPOINT), 'counter/dump.log'), 'text');
  rmSync(state.logsRoot, { recursive: true });
  writeFileSync(state.logsRoot, 'not a folder');
  await discardCheckpoint(context, CHECKPOINT);
  assert.equal(existsSync(state.artifacts(CHECKPOINT)), false);
  assert.deepEqual(context.warnings, ['the logs of CRIU could not be kept']);
});
