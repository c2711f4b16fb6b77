/** An `up` that is killed at any moment is cleaned up by the next `down`. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, test } from 'node:test';
import { leftovers } from '../support/leftovers.js';
import { until } from '../support/until.js';
import { clusterDown } from './cluster.js';
import { repository } from './paths.js';

const skip = process.getuid?.() !== 0 && 'needs root: the nodes are made of namespaces, mounts and cgroups';

/** The lines with which `up` announces its steps. */
const steps = [
  /certificates and programs$/,
  /network 10\.88/,
  /node k8s-worker/,
  /API server and scheduler/,
  /installing the project/,
  /waiting for the pods/,
];

/** Runs `up` and kills it as soon as it has said the line. */
async function killedUp(dir: string, line: RegExp, environment: NodeJS.ProcessEnv): Promise<void> {
  const cli = join(repository, 'test/cluster/cli.ts');
  const child = spawn(process.execPath, ['--import', 'tsx', cli, 'up', '--dir', dir], {
    cwd: repository,
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const said: string[] = [];
  const reader = createInterface(child.stderr).on('line', (one) => {
    said.push(one);
    if (line.test(one)) child.kill('SIGKILL');
  });
  const [, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
  reader.close();
  assert.equal(signal, 'SIGKILL', `killed at ${String(line)}, in: ${said.join('\n')}`);
}

describe('a killed up leaves nothing behind the next down', { skip, concurrency: 2 }, () => {
  for (const [index, step] of steps.entries()) {
    test(`killed at step ${index + 1}: ${step.source}`, { timeout: 120_000 }, async () => {
      const parent = mkdtempSync(join(tmpdir(), 'lpm-killed-'));
      const dir = join(parent, 'c');
      const mark = randomUUID();
      const left = (): string[] => leftovers(dir, `LPM_TEST_MARK=${mark}`);
      try {
        await killedUp(dir, step, { LPM_TEST_MARK: mark });
        assert.notDeepEqual(left(), [], 'there is something to clean up');
        await clusterDown({ dir });
        // What `up` had just started outside the cluster (a `mount`, a `nsenter`) comes to its own end.
        await until('nothing is left', () => left().length === 0, { timeoutMs: 3000 }).catch(() => {});
        assert.deepEqual(left(), []);
      } finally {
        await clusterDown({ dir });
        rmSync(parent, { recursive: true, force: true });
      }
    });
  }
});
