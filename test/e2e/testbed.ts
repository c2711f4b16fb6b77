/**
 * What the end-to-end tests run on, in a namespace of its own: the local cluster (one for each test file, in a folder of its own, taken
 * down at the end), or a cluster given by the environment, as `npm run test:e2e -- --kubeconfig F --source NODE --target NODE` sets it.
 * Either way through the real kubectl with our plugins in reach.
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  clusterDown,
  clusterUp,
  linkPlugins,
  linkPrograms,
  type Cluster,
  type ClusterOptions,
} from '../cluster/cluster.js';
import { must as runOrThrow, run, type RunOptions, type RunResult } from '../cluster/run.js';
import { countsIn } from '../support/counts.js';
import { until } from '../support/until.js';

/** The cluster to test, set by test/e2e/run.ts. */
export interface Given {
  kubeconfig: string;
  source: string;
  target: string;
}

export const given: Given | undefined = process.env.LPM_E2E
  ? (JSON.parse(process.env.LPM_E2E) as Given)
  : undefined;

/** Why a test of kubectl's means alone is skipped, or false. */
export const skipped =
  !given &&
  process.getuid?.() !== 0 &&
  'needs root: the local cluster’s nodes are made of namespaces, mounts and cgroups';

/** Why a test that breaks nodes, or the cluster for others, is skipped, or false. */
export const skippedUnlessLocal = given
  ? 'breaks a part of the cluster: done on the local cluster only'
  : skipped;

/**
 * LPM_TEST_CLUSTER=installed or processes: how agents and controller run in the local cluster (ClusterOptions.processes), whatever a test
 * would choose.
 */
const chosen = process.env.LPM_TEST_CLUSTER;
if (chosen !== undefined && chosen !== 'installed' && chosen !== 'processes') {
  throw new Error(`LPM_TEST_CLUSTER is ${chosen}, not installed or processes.`);
}

/** Why a test of the installation itself is skipped, or false. */
export const skippedUnlessInstalled =
  chosen === 'processes' ? 'needs agents and controller as pods' : skippedUnlessLocal;

export interface Testbed {
  /** The local cluster; only tests that are skipped elsewhere (`skippedUnlessLocal`) may ask for it. */
  local(): Cluster;
  source: string;
  target: string;
  namespace: string;
  /** KUBECONFIG (its context is in the namespace) and PATH for any program. */
  env: NodeJS.ProcessEnv;
  kubectl(...args: string[]): Promise<RunResult>;
  /** Like kubectl, but an exit code other than 0 is an error. Answers stdout. */
  must(...args: string[]): Promise<string>;
  apply(object: object): Promise<void>;
  /** The counts in the file that a counter writes. */
  countsInFile(pod: string): Promise<number[]>;
  countsInLog(pod: string): Promise<number[]>;
  /** A counter that counts every 50 ms, in its steady state. */
  startCounter(name: string, node: string): Promise<void>;
  end(): Promise<void>;
}

/** @param options of the local cluster, where that is what the tests run on; by default it is installed as any other */
export async function startTestbed(
  options: Pick<ClusterOptions, 'processes' | 'controllerFlags'> = {},
): Promise<Testbed> {
  const dir = mkdtempSync(join(tmpdir(), 'lpm-e2e-'));
  const undo = [async () => rmSync(dir, { recursive: true, force: true })];
  const end = async (): Promise<void> => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  try {
    const cluster = given
      ? undefined
      : await startLocal(
          { ...options, ...(chosen && { processes: chosen === 'processes' }), dir: join(dir, 'cluster') },
          undo,
        );
    const namespace = `lpm-e2e-${randomBytes(3).toString('hex')}`;
    const kubeconfig = join(dir, 'kubeconfig');
    const bin = cluster?.layout.bin ?? dir;
    if (given && !linkPlugins(bin)) throw new Error('The plugins are not built. Run: npm run build');
    const env = { ...process.env, KUBECONFIG: kubeconfig, PATH: `${bin}:${process.env.PATH ?? ''}` };
    const must = (args: string[], options: RunOptions = {}): Promise<string> =>
      runOrThrow('kubectl', args, { env, ...options });

    const from = given?.kubeconfig ?? cluster!.kubeconfig;
    writeFileSync(
      kubeconfig,
      await must(['config', 'view', '--raw', '--flatten', '--minify', `--kubeconfig=${from}`]),
      { mode: 0o600 },
    );
    await must(['config', 'set-context', '--current', `--namespace=${namespace}`]);
    await must(['create', 'namespace', namespace]);
    undo.push(async () => {
      if (given) await must(['delete', 'namespace', namespace, '--timeout=120s']);
    });
    // Pods are refused until the cluster has made it.
    await until('the namespace has its service account', async () =>
      must(['get', 'serviceaccount', 'default']),
    );

    const countsInFile = async (pod: string): Promise<number[]> =>
      countsIn(await must(['exec', pod, '--', 'cat', '/data/counter.log']));
    const apply = async (object: object): Promise<void> => {
      await must(['apply', '-f', '-'], { stdin: JSON.stringify(object) });
    };
    return {
      local: () => {
        if (!cluster) throw new Error('This is not the local cluster.');
        return cluster;
      },
      source: given?.source ?? 'k8s-worker',
      target: given?.target ?? 'k8s-master',
      namespace,
      env,
      kubectl: (...args) => run('kubectl', args, { env }),
      must: (...args) => must(args),
      apply,
      countsInFile,
      countsInLog: async (pod) => countsIn(await must(['logs', pod])),
      startCounter: async (name, node) => {
        await apply(counterPod(name, node));
        await until(`${name} counts`, async () => (await countsInFile(name)).length > 5);
      },
      end,
    };
  } catch (error) {
    await end();
    throw error;
  }
}

async function startLocal(options: ClusterOptions, undo: (() => Promise<void>)[]): Promise<Cluster> {
  undo.push(() => clusterDown(options));
  const cluster = await clusterUp(options);
  await linkPrograms(cluster);
  return cluster;
}

/** SIGUSR1 ends it, which SIGKILL from inside its own pid namespace cannot (pid_namespaces(7)). */
const counterPod = (name: string, nodeName: string) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, labels: { app: 'counter' } },
  spec: {
    nodeName,
    terminationGracePeriodSeconds: 2,
    containers: [
      {
        name: 'counter',
        image: 'busybox:1.35',
        command: [
          '/bin/sh',
          '-c',
          'trap "exit 1" USR1; COUNT=0; while true; do COUNT=$((COUNT + 1)); echo "$(date): Count=$COUNT" | tee -a /data/counter.log; sleep 0.05; done',
        ],
        volumeMounts: [{ name: 'data', mountPath: '/data' }],
      },
    ],
    volumes: [{ name: 'data', emptyDir: {} }],
  },
});
