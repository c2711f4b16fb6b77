/**
 * `npm run bench -- --api`: what the local cluster's API server costs when it is full, measured from outside its process: memory with
 * 5,000 pods and 200 watchers, and the time of a list with kubectl. Over a limit is said, and is no failure.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once, setMaxListeners } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { KubeClient } from '../../common/kube/client.js';
import { loadKubeConfig } from '../../common/kube/config.js';
import { must } from '../cluster/run.js';
import { until } from '../support/until.js';

const PODS = 5000;
const WATCHERS = 200;
const WATCHES_EACH = 50;
const CHANGES = 50;
const AT_ONCE = 16;
const NAMESPACES = 10;

export interface ApiFigure {
  name: string;
  value: number;
  /** Without one the figure is only told. */
  limit?: number;
  unit: 'MB' | 's';
}

/** @throws what keeps it from being measured, e.g. a kubectl that is missing. */
export async function benchApi(say: (line: string) => void): Promise<ApiFigure[]> {
  const dir = mkdtempSync(join(tmpdir(), 'lpm-bench-api-'));
  const { child, kubeconfig } = await startServer(join(dir, 'state.json'));
  const controllers = startControllers(kubeconfig);
  const client = () => new KubeClient(loadKubeConfig({ kubeconfig }), { userAgent: 'lpm-bench' });
  const kube = client();
  const watchers = Array.from({ length: WATCHERS / WATCHES_EACH }, client);
  const stop = new AbortController();
  try {
    say(`making ${PODS} pods`);
    await fill(kube);
    say(`starting ${WATCHERS} watchers`);
    const received = await watchAll(watchers, stop.signal);
    const began = performance.now();
    for (let n = 0; n < CHANGES; n++) {
      await kube.pods.patch(nameOf(n), namespaceOf(n), { metadata: { labels: { changed: 'yes' } } });
    }
    await until('all watchers have seen all changes', () => received.every((count) => count === CHANGES), {
      timeoutMs: 60_000,
    });
    say(`${CHANGES} changes reached ${WATCHERS} watchers in ${seconds(began).toFixed(1)} s`);
    const env = { ...process.env, KUBECONFIG: kubeconfig, KUBECACHEDIR: join(dir, 'cache') };
    await must('kubectl', ['get', 'namespaces'], { env }); // Discovery is cached from here on, as in a user's home.
    const listing = performance.now();
    const rows = (await must('kubectl', ['get', 'pods', '-A'], { env })).trim().split('\n').length - 1;
    const took = seconds(listing);
    if (rows !== PODS) throw new Error(`kubectl showed ${rows} of ${PODS} pods.`);
    return [
      {
        name: `memory with ${PODS} pods, ${WATCHERS} watchers`,
        value: residentMb(child),
        limit: 500,
        unit: 'MB',
      },
      { name: 'memory of its controllers', value: residentMb(controllers), unit: 'MB' },
      { name: `kubectl get pods -A with ${PODS} pods`, value: took, limit: 3, unit: 's' },
    ];
  } finally {
    stop.abort();
    for (const one of [kube, ...watchers]) one.close();
    for (const one of [controllers, child]) {
      const closed = once(one, 'close');
      one.kill();
      await closed;
    }
    rmSync(dir, { recursive: true, force: true });
  }
}

export function printApi(figures: ApiFigure[]): void {
  for (const { name, value, limit, unit } of figures) {
    const digits = unit === 's' ? 1 : 0;
    const judged =
      limit === undefined ? '' : `   limit ${limit} ${unit}   ${value < limit ? 'pass' : 'over'}`;
    console.log(`${name.padEnd(40)}${`${value.toFixed(digits)} ${unit}`.padStart(9)}${judged}`);
  }
}

/** The server in a process of its own, which keeps its state in a file as in the local cluster. */
async function startServer(stateFile: string): Promise<{ child: ChildProcess; kubeconfig: string }> {
  const testing = new URL('../cluster/apiserver/testing.ts', import.meta.url).href;
  const program = `
    import { startTestApiServer } from ${JSON.stringify(testing)};
    const server = await startTestApiServer({ stateFile: ${JSON.stringify(stateFile)}, controllers: false });
    console.log(server.kubeconfig);
    process.once('SIGTERM', () => void server.close().then(() => process.exit(0)));`;
  const child = spawn(
    process.execPath,
    ['--import', import.meta.resolve('tsx'), '--input-type=module', '--eval', program],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const { value, done } = await createInterface({ input: child.stdout })[Symbol.asyncIterator]().next();
  if (done) throw new Error('The API server did not start.');
  return { child, kubeconfig: value };
}

/** The controllers of the local cluster, in a process of their own as there. */
function startControllers(kubeconfig: string): ChildProcess {
  const program = fileURLToPath(new URL('../cluster/controllers/main.ts', import.meta.url));
  const argv = ['--import', import.meta.resolve('tsx'), program, '--kubeconfig', kubeconfig];
  return spawn(process.execPath, argv, { stdio: ['ignore', 'ignore', 'inherit'] });
}

const nameOf = (n: number): string => `pod-${n}`;
const namespaceOf = (n: number): string => `bench-${n % NAMESPACES}`;

async function fill(kube: KubeClient): Promise<void> {
  for (let n = 0; n < NAMESPACES; n++) {
    await kube.namespaces.create({ metadata: { name: namespaceOf(n) } });
    const account = `/api/v1/namespaces/${namespaceOf(n)}/serviceaccounts/default`;
    await until('pods are admitted to the namespace', () => kube.json('GET', account));
  }
  let next = 0;
  const work = async (): Promise<void> => {
    for (let n = next++; n < PODS; n = next++) {
      await kube.pods.create(
        {
          metadata: { name: nameOf(n), labels: { app: `app-${n % 100}` } },
          spec: {
            nodeName: `node-${n % 50}`,
            containers: [
              {
                name: 'main',
                image: 'docker.io/library/busybox:1.35',
                command: ['sh', '-c', 'sleep infinity'],
                env: [{ name: 'NUMBER', value: String(n) }],
                resources: { requests: { cpu: '100m', memory: '64Mi' } },
              },
            ],
          },
        },
        namespaceOf(n),
      );
      await kube.pods.patchStatus(nameOf(n), namespaceOf(n), {
        phase: 'Running',
        podIP: `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`,
        conditions: ['Initialized', 'Ready', 'ContainersReady', 'PodScheduled'].map((type) => ({
          type,
          status: 'True',
        })),
      });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

/** Counts of the events that each watcher has received. The clients have a connection for each watch. */
async function watchAll(clients: KubeClient[], signal: AbortSignal): Promise<number[]> {
  setMaxListeners(0, signal);
  const { metadata } = await clients[0]!.pods.list({ limit: 1 });
  const received = Array<number>(WATCHERS).fill(0);
  for (let n = 0; n < WATCHERS; n++) {
    const { pods } = clients[n % clients.length]!;
    const watch = pods.watch({ resourceVersion: metadata.resourceVersion!, timeoutSeconds: 600 }, signal);
    void (async () => {
      for await (const event of watch) if (event.type === 'MODIFIED') received[n]! += 1;
    })().catch(() => {}); // The count that stays behind tells.
  }
  return received;
}

const seconds = (since: number): number => (performance.now() - since) / 1000;

/** Resident memory of a process, as the kernel counts it. */
function residentMb({ pid }: ChildProcess): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return (Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024) / 1e6;
}
