/** The local cluster for end-to-end tests: one for each test file, in a folder of its own, taken down at the end. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { clusterDown, clusterUp, linkPrograms, type Cluster } from '../cluster/cluster.js';
import { run, type RunResult } from '../cluster/run.js';
import { countsIn } from '../support/counts.js';
import { until } from '../support/until.js';

export const needsRoot =
  process.getuid?.() !== 0 && 'needs root: the nodes are made of namespaces, mounts and cgroups';

export interface Local {
  cluster: Cluster;
  /** The real kubectl, with our plugins in reach. */
  kubectl(...args: string[]): Promise<RunResult>;
  /** Like kubectl, but an exit code other than 0 is an error. Answers stdout. */
  must(...args: string[]): Promise<string>;
  /** The counts in the file that a counter writes. */
  countsInFile(pod: string): Promise<number[]>;
  countsInLog(pod: string): Promise<number[]>;
  /** A counter that counts every 50 ms, in its steady state. */
  startCounter(name: string, node: string): Promise<void>;
  down(): Promise<void>;
}

export async function startLocal(): Promise<Local> {
  const dir = mkdtempSync(join(tmpdir(), 'lpm-e2e-'));
  const down = async (): Promise<void> => {
    await clusterDown({ dir });
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    const cluster = await clusterUp({ dir });
    await linkPrograms(cluster);
    return { ...local(cluster), down };
  } catch (error) {
    await down();
    throw error;
  }
}

function local(cluster: Cluster): Omit<Local, 'down'> {
  const env = {
    ...process.env,
    KUBECONFIG: cluster.kubeconfig,
    PATH: `${cluster.layout.bin}:${process.env.PATH ?? ''}`,
  };
  const kubectl = (...args: string[]): Promise<RunResult> => run('kubectl', args, { env });
  const must = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await kubectl(...args);
    if (code !== 0)
      throw new Error(`kubectl ${args.join(' ')} ended with ${code}: ${stderr.trim() || stdout.trim()}`);
    return stdout;
  };
  const countsInFile = async (pod: string): Promise<number[]> =>
    countsIn(await must('exec', pod, '--', 'cat', '/data/counter.log'));
  return {
    cluster,
    kubectl,
    must,
    countsInFile,
    countsInLog: async (pod) => countsIn(await must('logs', pod)),
    startCounter: async (name, node) => {
      const kube = cluster.client();
      try {
        await kube.pods.create(counterPod(name, node), 'default');
        await until(`${name} counts`, async () => (await countsInFile(name)).length > 5);
      } finally {
        kube.close();
      }
    },
  };
}

const counterPod = (name: string, nodeName: string) => ({
  metadata: { name, namespace: 'default', labels: { app: 'counter' } },
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
          'COUNT=0; while true; do COUNT=$((COUNT + 1)); echo "$(date): Count=$COUNT" | tee -a /data/counter.log; sleep 0.05; done',
        ],
        volumeMounts: [{ name: 'data', mountPath: '/data' }],
      },
    ],
    volumes: [{ name: 'data', emptyDir: {} }],
  },
});
