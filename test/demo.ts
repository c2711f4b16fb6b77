/**
 * `npm run demo`: the main job, seen with one's own eyes. Brings the local cluster up if needed, with the project installed from its
 * images and manifests, runs the guide's counter on k8s-worker, moves it to k8s-master with the real kubectl and the plugin, and ends 0
 * only if every count stands exactly once and in order. `--keep` leaves the cluster (and one that was there before is left anyway).
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { SYSTEM_NAMESPACE } from '../common/api/names.js';
import { messageOf } from '../common/errors.js';
import {
  clusterDown,
  clusterUp,
  linkPrograms,
  openCluster,
  readRecord,
  type Cluster,
} from './cluster/cluster.js';
import { repository } from './cluster/paths.js';
import { countProblem, countsIn } from './support/counts.js';
import { until } from './support/until.js';

const SOURCE = 'counter-migration-test';
const RESTORED = `${SOURCE}-restored`;
const FROM = 'k8s-worker';
const TO = 'k8s-master';

const began = Date.now();
const elapsed = (): string => `${((Date.now() - began) / 1000).toFixed(1).padStart(5)} s`;
const note = (line: string): void => console.error(`[${elapsed()}] ${line}`);
const title = (line: string): void => console.log(`\n=== ${line}`);

/** @param wasThere the cluster ran before */
async function demo(cluster: Cluster, wasThere: boolean): Promise<void> {
  const env = {
    ...process.env,
    KUBECONFIG: cluster.kubeconfig,
    PATH: `${cluster.layout.bin}:${process.env.PATH ?? ''}`,
  };
  await linkPrograms(cluster);
  const kubectl = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await cluster.kubectl(args);
    if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr.trim() || stdout.trim()}`);
    return stdout;
  };
  /** Runs a command as a person would: its words, then all that it prints. */
  const show = async (...args: string[]): Promise<void> => {
    console.log(`$ kubectl ${args.join(' ')}`);
    const child = spawn('kubectl', args, { stdio: 'inherit', env });
    const [code] = (await once(child, 'close')) as [number | null];
    if (code !== 0) throw new Error(`kubectl ${args.join(' ')} ended with exit code ${code}.`);
  };
  const fileOn = async (pod: string): Promise<number[]> =>
    countsIn(await kubectl('exec', pod, '--', 'cat', '/data/counter.log'));

  if (wasThere) {
    note('Removing what an earlier demo may have left');
    await kubectl('delete', 'pod', SOURCE, RESTORED, '--ignore-not-found', '--grace-period=1');
  }

  if (readRecord(cluster.layout)?.installed) {
    title('The project, installed in the cluster');
    await show('get', 'pods', '-n', SYSTEM_NAMESPACE);
  }

  title(`The counter of the testing guide, on node ${FROM}`);
  await show('apply', '-f', join(repository, 'manifests/samples/counter.yaml'));
  await kubectl('wait', '--for=condition=Ready', `pod/${SOURCE}`, '--timeout=60s');
  await until('the counter has come to 3', async () => (await fileOn(SOURCE)).length >= 3, { everyMs: 250 });
  await show('get', 'pod', SOURCE, '-o', 'wide');
  await show('logs', SOURCE, '--tail=3');

  title(`Moving it, while it runs, to node ${TO}`);
  await show('migrate', SOURCE, '--to', TO);

  title('What arrived');
  await show('get', 'pod', RESTORED, '-o', 'wide');
  const there = (await fileOn(RESTORED)).length;
  await until('the counter goes on', async () => (await fileOn(RESTORED)).length >= there + 2, {
    everyMs: 250,
  });
  await show('logs', RESTORED);

  title('The proof');
  await check('the file /data/counter.log', await fileOn(RESTORED));
  await check('the log', countsIn(await kubectl('logs', RESTORED)));
  const left = await cluster.kubectl(['get', 'pod', SOURCE]);
  if (left.code === 0) throw new Error(`The source pod ${SOURCE} is still there.`);
  console.log(`✔ the source pod ${SOURCE} is gone`);
  const [migration] = (
    JSON.parse(await kubectl('get', 'podmigrations', '-o', 'json')) as {
      items: {
        spec: { podName: string };
        status?: { downtimeMilliseconds?: number; downtimeErrorMilliseconds?: number };
      }[];
    }
  ).items
    .filter((item) => item.spec.podName === SOURCE)
    .slice(-1);
  const { downtimeMilliseconds, downtimeErrorMilliseconds } = migration?.status ?? {};
  if (downtimeMilliseconds === undefined) throw new Error('The migration tells no downtime.');
  console.log(`✔ the process stood still for ${downtimeMilliseconds} ms (± ${downtimeErrorMilliseconds} ms)`);
}

async function check(what: string, counts: number[]): Promise<void> {
  const problem = countProblem(counts);
  if (problem) throw new Error(`In ${what} ${problem}: the counter did not arrive whole.`);
  console.log(`✔ ${what} holds 1 to ${counts.length}, each once and in order`);
}

async function main(): Promise<number> {
  const keep = process.argv.includes('--keep');
  const running = await openCluster();
  try {
    // Also when it runs already: it may run an older build of controller and agent.
    const cluster = await clusterUp({ say: note });
    await demo(cluster, running !== undefined);
    title('Done');
    console.log(`The counter moved from ${FROM} to ${TO} and lost nothing (${elapsed().trim()} in all).`);
    return 0;
  } catch (error) {
    console.error(`\n✘ ${messageOf(error)}`);
    return 1;
  } finally {
    if (keep || running) {
      console.log(
        'The cluster is still there. Use it:\n  export KUBECONFIG=$PWD/.cluster/kubeconfig PATH=$PWD/.cluster/bin:$PATH\n' +
          'and remove it:\n  npm run cluster -- down',
      );
    } else {
      note('Taking the cluster down (--keep leaves it)');
      await clusterDown().catch((error: unknown) => console.error(messageOf(error)));
    }
  }
}

process.exitCode = await main();
