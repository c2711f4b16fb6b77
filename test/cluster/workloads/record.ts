/**
 * Plays the scenarios against a cluster and writes what happened there:
 *
 *   tsx test/cluster/workloads/record.ts --kubeconfig FILE [--out DIR] [SCENARIO…]
 *
 * The files in recorded/ come from a real kube-controller-manager; the local cluster is compared with them.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { messageOf } from '../../../common/errors.js';
import { KubeClient } from '../../../common/kube/client.js';
import { loadProgramConfig } from '../../../common/kube/config.js';
import { play, type Scenario } from './play.js';
import { scenarios } from './scenarios.js';

/** Scenarios that are played at the same time. */
const atOnce = 5;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    kubeconfig: { type: 'string' },
    out: { type: 'string', default: fileURLToPath(new URL('recorded', import.meta.url)) },
  },
});

async function main(): Promise<void> {
  if (!values.kubeconfig) throw new Error('Name the cluster with --kubeconfig FILE.');
  const { kubeconfig, out } = values;
  mkdirSync(out, { recursive: true });
  const waiting = scenarios.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
  const failures: string[] = [];
  const playOn = async (): Promise<void> => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      await record(kubeconfig, out, next).catch((error: unknown) => failures.push(messageOf(error)));
    }
  };
  await Promise.all(Array.from({ length: atOnce }, playOn));
  if (failures.length > 0) throw new Error(failures.join('\n'));
}

async function record(kubeconfig: string, out: string, scenario: Scenario): Promise<void> {
  // A client of its own: one client's connections do not suffice for the watches of many scenarios.
  const client = new KubeClient(loadProgramConfig(kubeconfig), { userAgent: 'lpm-record' });
  try {
    const { gitVersion } = await client.json<{ gitVersion: string }>('GET', '/version');
    const options = { quietMs: 3000, stepTimeoutMs: 120_000, origin: `Kubernetes ${gitVersion}` };
    const recording = await play(client, scenario, options);
    writeFileSync(join(out, `${scenario.name}.json`), `${JSON.stringify(recording, undefined, 2)}\n`);
    console.log(`${scenario.name}: recorded`);
  } finally {
    client.close();
  }
}

main().catch((error: unknown) => {
  console.error(messageOf(error));
  process.exitCode = 1;
});
