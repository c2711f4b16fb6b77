/**
 * `npm run bench`: the downtime of a migration and where it goes, beside the floor: `runc checkpoint` and `runc restore` of the same
 * program on the same node, in the same run. Compare the ratios; the milliseconds are this machine's, on this day.
 *
 *   npm run bench -- [--json] [--runs N] [--only NAME]
 *   npm run bench -- --start [--json]    how long the plugin takes to start instead (start-up.ts; also at the end of every run)
 *   npm run bench -- --api [--json]      memory and speed of the local API server instead (api.ts)
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import Table from 'cli-table3';
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import type { PodMigration } from '../../common/api/schema.js';
import { messageOf } from '../../common/errors.js';
import type { KubeClient } from '../../common/kube/client.js';
import { clusterDown, clusterUp, openCluster, type Cluster } from '../cluster/cluster.js';
import { until } from '../support/until.js';
import { benchApi, printApi } from './api.js';
import { LARGEST_RATIO, measureStartUp, printStartUp } from './start-up.js';
import { measureFloor, type Floor } from './floor.js';
import { counter, memory, type Workload } from './workloads.js';

const FROM = 'k8s-worker';
const TO = 'k8s-master';
const NAMESPACE = 'default';
const STEPS = ['Freeze', 'Dump', 'Collect', 'Transfer', 'Stage', 'Restore'] as const;

interface Measured {
  workload: string;
  downtimeMilliseconds: number;
  downtimeErrorMilliseconds: number;
  totalMilliseconds: number;
  bytes: number;
  steps: Record<string, number>;
  floor: Floor;
  /** downtime / (raw dump + raw restore) */
  ratio: number;
}

const args = await yargs(hideBin(process.argv))
  .locale('en')
  .option('json', { type: 'boolean', default: false, describe: 'Print the numbers as JSON.' })
  .option('runs', {
    type: 'number',
    default: 3,
    describe: 'Runs of each workload; the one with the median downtime is shown.',
  })
  .option('api', { type: 'boolean', default: false, describe: 'Measure the local API server instead.' })
  .option('start', { type: 'boolean', default: false, describe: 'Measure the start of the plugin instead.' })
  .option('only', { type: 'string', describe: 'Only the workloads whose name contains this.' })
  .strict()
  .parseAsync();

const note = (line: string): void => console.error(line);

async function measure(
  cluster: Cluster,
  kube: KubeClient,
  workload: Workload,
  run: number,
): Promise<Measured> {
  const podName = `bench-${workload.name.replace(' ', '').toLowerCase()}-${run}`;
  const restoredName = `${podName}-restored`;
  const source = cluster.node(FROM);
  const dataOf = (node: string, podUid: string, file: string): string => {
    const path = cluster
      .node(node)
      .path(join('/var/lib/kubelet/pods', podUid, 'volumes/kubernetes.io~empty-dir/data', file));
    return existsSync(path) ? readFileSync(path, 'utf8') : '';
  };
  const pod = await kube.pods.create(workload.pod(podName, FROM), NAMESPACE);
  try {
    const uid = pod.metadata.uid!;
    await until(`${podName} is in its steady state`, () => workload.ready(dataOf(FROM, uid, workload.file)), {
      timeoutMs: 120_000,
    });
    const running = await kube.pods.get(podName, NAMESPACE);
    const id = running.status?.containerStatuses?.[0]?.containerID?.replace(/^.*:\/\//, '');
    if (!id) throw new Error(`Pod ${podName} has no running container.`);
    const floor = await measureFloor(source, id, (read) => workload.ready(read(workload.file)));
    const migration = await migrate(kube, podName);
    const { downtimeMilliseconds = NaN, totalMilliseconds = NaN } = migration.status ?? {};
    const restoredUid = migration.status?.restoredPodUID ?? '';
    const before = dataOf(TO, restoredUid, workload.file).length;
    const content = await until('the restored process goes on', () => {
      const now = dataOf(TO, restoredUid, workload.file);
      return now.length > before && now;
    });
    const problem = workload.problem(content);
    if (problem) throw new Error(`${workload.name} did not arrive whole: ${problem}.`);
    return {
      workload: workload.name,
      downtimeMilliseconds,
      downtimeErrorMilliseconds: migration.status?.downtimeErrorMilliseconds ?? NaN,
      totalMilliseconds,
      bytes: migration.status?.bytesTransferred ?? 0,
      steps: Object.fromEntries(
        (migration.status?.steps ?? []).map((step) => [step.name, step.milliseconds]),
      ),
      floor,
      ratio: downtimeMilliseconds / (floor.dumpMilliseconds + floor.restoreMilliseconds),
    };
  } finally {
    for (const name of [podName, restoredName]) {
      await kube.pods.delete(name, NAMESPACE, { gracePeriodSeconds: 1 }).catch(() => {});
      await until(`${name} is gone`, async () => !(await kube.pods.find(name, NAMESPACE)));
    }
    await kube.podMigrations.delete(podName, NAMESPACE).catch(() => {});
  }
}

async function migrate(kube: KubeClient, podName: string): Promise<PodMigration> {
  await kube.podMigrations.create(
    { metadata: { name: podName }, spec: { podName, targetNode: TO } },
    NAMESPACE,
  );
  return until(
    `the migration ${podName} ends`,
    async () => {
      const now = await kube.podMigrations.get(podName, NAMESPACE);
      if (now.status?.phase === 'Failed') throw new Error(now.status.message);
      return now.status?.phase === 'Succeeded' && now;
    },
    { timeoutMs: 180_000, everyMs: 100 },
  );
}

const median = (runs: Measured[]): Measured =>
  [...runs].sort((a, b) => a.downtimeMilliseconds - b.downtimeMilliseconds)[
    Math.floor((runs.length - 1) / 2)
  ]!;

function print(results: Measured[]): void {
  const none = {
    top: '',
    'top-mid': '',
    'top-left': '',
    'top-right': '',
    bottom: '',
    'bottom-mid': '',
    'bottom-left': '',
    'bottom-right': '',
    left: '',
    'left-mid': '',
    mid: '',
    'mid-mid': '',
    right: '',
    'right-mid': '',
    middle: '  ',
  };
  const table = new Table({
    head: [
      'WORKLOAD',
      'MOVED',
      ...STEPS.map((step) => step.toUpperCase()),
      'DOWNTIME',
      'RAW DUMP',
      'RAW RESTORE',
      'RATIO',
    ],
    chars: none,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
    colAligns: ['left', ...Array<'right'>(11).fill('right')],
  });
  const ms = (value: number | undefined): string => (value === undefined ? '-' : `${Math.round(value)} ms`);
  for (const result of results) {
    table.push([
      result.workload,
      `${(result.bytes / 1e6).toFixed(1)} MB`,
      ...STEPS.map((step) => ms(result.steps[step])),
      `${ms(result.downtimeMilliseconds)} ± ${Math.round(result.downtimeErrorMilliseconds)}`,
      ms(result.floor.dumpMilliseconds),
      ms(result.floor.restoreMilliseconds),
      `${result.ratio.toFixed(2)} ×`,
    ]);
  }
  console.log(table.toString());
  console.log(
    '\nDump and Collect run at the same time. RATIO is DOWNTIME over RAW DUMP + RAW RESTORE: the floor has no hop between nodes,\nno volumes, no claim. Median of the runs by downtime.',
  );
}

async function main(): Promise<number> {
  const workloads = [counter, memory(64), memory(256), memory(1024)].filter(({ name }) =>
    name.includes(args.only ?? ''),
  );
  const running = await openCluster();
  try {
    const cluster = await clusterUp({ say: note });
    const kube = cluster.client();
    const results: Measured[] = [];
    for (const workload of workloads) {
      const runs: Measured[] = [];
      for (let run = 1; run <= args.runs; run++) {
        note(`${workload.name}: run ${run} of ${args.runs}`);
        runs.push(await measure(cluster, kube, workload, run));
      }
      results.push(median(runs));
    }
    kube.close();
    if (args.json) console.log(JSON.stringify(results, null, 2));
    else {
      print(results);
      console.log();
      printStartUp(measureStartUp());
    }
    return 0;
  } catch (error) {
    console.error(messageOf(error));
    return 1;
  } finally {
    if (!running) await clusterDown({ say: note });
  }
}

async function api(): Promise<number> {
  try {
    const figures = await benchApi(note);
    if (args.json) console.log(JSON.stringify(figures, null, 2));
    else printApi(figures);
    return 0;
  } catch (error) {
    console.error(messageOf(error));
    return 1;
  }
}

/** Fails where the plugin starts too slowly. */
function start(): number {
  const found = measureStartUp();
  if (args.json) console.log(JSON.stringify(found, null, 2));
  else printStartUp(found);
  return found.ratio < LARGEST_RATIO ? 0 : 1;
}

process.exitCode = await (args.api ? api() : args.start ? start() : main());
