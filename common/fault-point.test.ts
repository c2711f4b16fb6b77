import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { bundle, programs, runtimeHandler } from '../build.mjs';
import { until } from '../test/support/until.js';
import { meet, meetSync } from './fault-point.js';
import { FAULT_POINTS, type FaultPoint } from './fault-points.js';

const here: FaultPoint = 'agent.thaw.before';
const root = new URL('..', import.meta.url).pathname;

function folder(t: TestContext): {
  dir: string;
  arm(text: string): void;
  fired(): boolean;
  armed(): boolean;
} {
  const dir = mkdtempSync(join(tmpdir(), 'lpm-fault-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  mkdirSync(join(dir, 'fired'));
  return {
    dir,
    arm: (text) => writeFileSync(join(dir, here), text),
    fired: () => existsSync(join(dir, 'fired', here)),
    armed: () => existsSync(join(dir, here)),
  };
}

test('nothing happens at a place that is not armed, nor without a folder', async (t) => {
  const { dir } = folder(t);
  await meet(dir, here);
  await meet(join(dir, 'none'), here);
});

test('an error is thrown once', async (t) => {
  const { dir, arm, fired, armed } = folder(t);
  arm('error\n');
  await assert.rejects(meet(dir, here), /A fault was asked for at agent\.thaw\.before/);
  assert.ok(fired() && !armed());
  await meet(dir, here);
});

test('the third pass can be the one that fails', async (t) => {
  const { dir, arm } = folder(t);
  arm('error 3\n');
  await meet(dir, here);
  meetSync(dir, here);
  assert.throws(() => meetSync(dir, here));
});

test('who hangs goes on when the mark is removed', async (t) => {
  const { dir, arm, fired } = folder(t);
  arm('hang\n');
  let over = false;
  const standing = meet(dir, here).then(() => (over = true));
  await until('it hangs', fired, { everyMs: 5 });
  await turn();
  assert.equal(over, false);
  rmSync(join(dir, 'fired', here));
  await standing;
});

test('a killed process leaves the mark', (t) => {
  const { dir, arm, fired } = folder(t);
  arm('kill\n');
  const script = `import { meet } from ${JSON.stringify(`${root}common/fault-point.ts`)};
    await meet(${JSON.stringify(dir)}, ${JSON.stringify(here)});`;
  const { signal } = spawnSync(
    process.execPath,
    ['--import', import.meta.resolve('tsx'), '--input-type=module', '-e', script],
    { cwd: root },
  );
  assert.equal(signal, 'SIGKILL');
  assert.ok(fired());
});

test('the handler’s shell meets faults in the same way', (t) => {
  const { dir, arm, fired } = folder(t);
  const shell = (): ReturnType<typeof spawnSync> =>
    spawnSync('sh', ['-c', `. ${root}agent/handler/fault.sh; fault ${here}; echo passed`], {
      env: { ...process.env, LPM_FAULT_DIR: dir },
      encoding: 'utf8',
    });
  assert.equal(shell().stdout, 'passed\n');
  arm('kill 2\n');
  assert.equal(shell().stdout, 'passed\n', 'at its first pass');
  assert.equal(shell().signal, 'SIGKILL');
  assert.ok(fired());
  arm('error\n');
  const failed = shell();
  assert.deepEqual([failed.status, failed.stdout], [1, '']);
});

test('programs for users hold no fault point, those of the test build do', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'lpm-build-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const names = (text: string): string[] =>
    [...Object.keys(FAULT_POINTS), 'faultPoint', 'lpm-faults'].filter((name) => text.includes(name));
  for (const [outfile, entry] of Object.entries(programs)) {
    const built = join(dir, outfile.replace('dist/', ''));
    await bundle(entry, built);
    assert.deepEqual(names(readFileSync(built, 'utf8')), [], outfile);
    const shipped = join(root, outfile);
    if (existsSync(shipped)) assert.deepEqual(names(readFileSync(shipped, 'utf8')), [], shipped);
  }
  const handler = await runtimeHandler();
  assert.deepEqual([names(handler), /\bfault\b/.test(handler)], [[], false], 'the handler');

  await bundle('agent/main.ts', join(dir, 'faults.mjs'), { faults: true });
  const agent = readFileSync(join(dir, 'faults.mjs'), 'utf8');
  assert.ok(agent.includes('agent.pullArtifacts.before') && agent.includes('lpm-faults'));
});
