/**
 * `npm run test:e2e -- [--kubeconfig F --source NODE --target NODE] [FILE…]`: the end-to-end tests, on the local cluster or on any
 * cluster on which the project is installed. FILE narrows the choice to the files whose path contains it.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { messageOf } from '../../common/errors.js';
import { KubeClient } from '../../common/kube/client.js';
import { loadProgramConfig } from '../../common/kube/config.js';
import { repository } from '../cluster/paths.js';
import type { Given } from './testbed.js';

function readArguments(): { given?: Given; wanted: string[] } {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      kubeconfig: { type: 'string' },
      source: { type: 'string' },
      target: { type: 'string' },
    },
  });
  const { kubeconfig, source, target } = values;
  if (!kubeconfig && !source && !target) return { wanted: positionals };
  if (!kubeconfig || !source || !target)
    throw new Error(
      'Give --kubeconfig, --source and --target together, or none of them for the local cluster.',
    );
  if (!existsSync(kubeconfig)) throw new Error(`There is no file ${kubeconfig}.`);
  if (source === target) throw new Error('The source and the target must be two nodes.');
  return { given: { kubeconfig: resolve(kubeconfig), source, target }, wanted: positionals };
}

/** @throws one sentence when the tests could not run there. */
async function check({ kubeconfig, source, target }: Given): Promise<void> {
  const kube = new KubeClient(loadProgramConfig(kubeconfig), { userAgent: 'lpm-e2e', timeoutMs: 10_000 });
  try {
    for (const name of [source, target]) {
      const node = await kube.nodes.find(name);
      const ready = node?.status?.conditions?.some(
        ({ type, status }) => type === 'Ready' && status === 'True',
      );
      if (!node) throw new Error(`The cluster has no node ${name}.`);
      if (!ready) throw new Error(`The node ${name} is not ready.`);
    }
    const definition = 'podmigrations.lpm.my.domain';
    await kube
      .json('GET', `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${definition}`)
      .catch((error: unknown) => {
        throw new Error(`The project is not installed there: ${messageOf(error)}`);
      });
  } finally {
    kube.close();
  }
}

async function main(): Promise<number> {
  const { given, wanted } = readArguments();
  if (given) await check(given);
  const files = readdirSync(import.meta.dirname)
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => join('test/e2e', name))
    .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
    .sort();
  if (files.length === 0) throw new Error(`No end-to-end test matches ${wanted.join(' ')}.`);
  const { status } = spawnSync(
    process.execPath,
    ['--import', 'tsx', '--test', '--test-concurrency=1', '--test-reporter=spec', ...files],
    {
      cwd: repository,
      stdio: 'inherit',
      env: { ...process.env, NODE_ENV: 'test', ...(given && { LPM_E2E: JSON.stringify(given) }) },
    },
  );
  return status ?? 1;
}

process.exitCode = await main().catch((error: unknown) => {
  console.error(messageOf(error));
  return 2;
});
