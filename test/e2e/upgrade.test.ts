/**
 * Other versions of controller and agents are rolled out and back while pods move without a pause: no migration is lost, no count
 * is, and what was restored runs on. On demand: `npm test -- upgrade`.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { AGENT_LABEL, CONTROLLER_LABEL, SYSTEM_NAMESPACE } from '../../common/api/names.js';
import type { KubeClient } from '../../common/kube/client.js';
import { buildImages, type ImageArchive } from '../../manifests/images/build.js';
import { readMetrics } from '../../plugin/doctor/metrics.js';
import type { Cluster } from '../cluster/cluster.js';
import { CopyWatch } from '../faults/copies.js';
import { frozen, leftovers } from '../faults/leftovers.js';
import { WrittenFiles } from '../faults/written.js';
import { countProblem, countsIn } from '../support/counts.js';
import { until } from '../support/until.js';
import { skippedUnlessInstalled, startTestbed, type Testbed } from './testbed.js';
import { Mover } from './upgrade/mover.js';
import { otherVersion } from './upgrade/other-version.js';
import { Saver } from './upgrade/saver.js';

/** So many pods move; LPM_TEST_ROLLOUTS times there and back. */
const PODS = Number(process.env.LPM_TEST_PODS ?? 4);
const ROUNDS = Number(process.env.LPM_TEST_ROLLOUTS ?? 2);
const NEXT = '9.9.9-next';

describe('a roll-out of another version', { skip: skippedUnlessInstalled }, () => {
  const mark = `upgrade-${process.pid}`;
  const folder = mkdtempSync(join(tmpdir(), 'lpm-upgrade-'));
  let it: Testbed;
  let cluster: Cluster;
  let kube: KubeClient;
  let written: WrittenFiles;
  let versions: Map<string, ImageArchive[]>;
  before(async () => {
    it = await startTestbed();
    cluster = it.local();
    kube = cluster.client();
    const images = await buildImages();
    const next = await otherVersion(images, 'next', NEXT, folder);
    for (const node of cluster.nodes) {
      for (const { archive, reference } of next) await node.importImage(archive, reference);
    }
    versions = new Map([
      [await runningVersion('controller'), images],
      [NEXT, next],
    ]);
    written = new WrittenFiles(
      new Map(cluster.nodes.map((node) => [node.name, join(node.dir, 'var/lib/kubelet/pods')])),
    );
  });
  after(async () => {
    written?.close();
    kube?.close();
    await it?.end();
    rmSync(folder, { recursive: true, force: true });
  });

  type Part = 'controller' | 'agents';
  const system = ['-n', SYSTEM_NAMESPACE];
  const workload = {
    controller: 'deployment/lpm-controller-manager',
    agents: 'daemonset/lpm-live-pod-migration-controller-checkpoint-agent',
  };
  const imageOf = (part: Part, version: string): string =>
    versions.get(version)!.find(({ reference }) => reference.includes('agent') === (part === 'agents'))!
      .reference;

  /** The one version that all pods of a part say that they are. */
  async function runningVersion(part: Part): Promise<string> {
    const labelSelector = part === 'agents' ? AGENT_LABEL : CONTROLLER_LABEL;
    const { items } = await kube.pods.list({ namespace: SYSTEM_NAMESPACE, labelSelector });
    const here = items.filter(({ metadata }) => !metadata.deletionTimestamp);
    const said = new Set(
      await Promise.all(here.map(async (pod) => (await readMetrics(kube, pod)).version ?? '?')),
    );
    assert.equal(here.length, 2, 'one on each node');
    assert.equal(said.size, 1, [...said].join());
    return [...said][0]!;
  }

  async function rollOut(part: Part, version: string): Promise<void> {
    const container = part === 'agents' ? 'agent' : 'manager';
    await it.must('set', 'image', ...system, workload[part], `${container}=${imageOf(part, version)}`);
    await it.must('rollout', 'status', ...system, workload[part], '--timeout=180s');
    await until(`${part} of version ${version} run`, async () => (await runningVersion(part)) === version);
  }

  async function archives(): Promise<string[]> {
    const look = 'ls /var/lib/kubelet/checkpoints /mnt/checkpoints 2>/dev/null | grep tar';
    const found = await Promise.all(cluster.nodes.map((node) => node.exec(['sh', '-c', look])));
    return found.flatMap(({ stdout }) => stdout.split('\n').filter(Boolean));
  }

  /** What there is of each kind on the nodes together and in the API, with how many: our pods are replaced, but not more of them. */
  async function state(): Promise<Record<string, number>> {
    const lines = await leftovers(cluster, kube, mark);
    const kinds = lines
      .filter((line) => !/^podmigration |checkpoint /.test(line))
      .map((line) => line.replace(/^(\S+: )?(\S+).*/, '$2'));
    return Object.fromEntries(
      [...new Set(kinds)].sort().map((kind) => [kind, kinds.filter((each) => each === kind).length]),
    );
  }

  test('loses no migration and no count, moves nothing twice, and leaves nothing behind', async (t) => {
    const [first, second] = cluster.nodes.map(({ name }) => name) as [string, string];
    const [old] = versions.keys();
    const empty = await state();

    const say = (line: string): void => t.diagnostic(line);
    const movers: Mover[] = [];
    for (let number = 0; number <= PODS; number++) {
      const side = (number % 2) as 0 | 1;
      movers.push(await Mover.create(`${mark}-${number}`, kube, it.namespace, [first, second], side, say));
    }
    const watches = movers.map(({ name }) => new CopyWatch(name, 500));
    for (const { pod, name } of movers) {
      await until(`${name} counts`, () => countsIn(written.of(pod.uid)).length > 5);
    }
    // One is moved before, and then stands; checkpoints are taken of it, one after the other.
    const standing = movers.pop()!;
    assert.equal((await standing.move()).phase, 'Succeeded');
    const containerOf = async (name: string) =>
      (await kube.pods.get(name, it.namespace)).status?.containerStatuses?.map(
        ({ containerID, restartCount }) => [containerID, restartCount],
      );
    const container = await containerOf(standing.pod.name);

    for (const mover of movers) mover.start();
    const saver = new Saver(kube, it.namespace, standing.pod.name);
    saver.start();
    /** Until each has ended a migration that it began from now on. */
    const eachMoves = async (): Promise<void> => {
      const before_ = movers.map(({ moves }) => moves.length);
      await until(
        'each pod is moved',
        () => movers.every(({ moves }, index) => moves.length >= before_[index]! + 2),
        { timeoutMs: 240_000, everyMs: 200 },
      );
    };
    try {
      await eachMoves();
      for (let round = 1; round <= ROUNDS; round++) {
        for (const version of [NEXT, old!]) {
          // Which of them is the newer one in between is another each time.
          const order: Part[] = round % 2 === 1 ? ['controller', 'agents'] : ['agents', 'controller'];
          for (const part of order) {
            await rollOut(part, version);
            say(`${part}: ${version}`);
            await eachMoves();
          }
          const { stdout } = await it.kubectl('migrate', 'version');
          assert.match(stdout, new RegExp(`^Controller Version: ${version.replaceAll('.', '\\.')}$`, 'm'));
        }
      }
      for (const mover of movers) await mover.stop();
      await saver.stop();

      const moves = movers.flatMap((mover) => mover.moves);
      const failed = moves.filter(({ phase }) => phase !== 'Succeeded');
      assert.deepEqual(failed, [], 'every migration succeeded');
      assert.ok(saver.saved > ROUNDS * 4, `${saver.saved} checkpoints`);
      assert.deepEqual(saver.failed, [], 'every checkpoint succeeded');
      const downtimes = moves.flatMap(({ downtimeMs }) => downtimeMs ?? []).sort((a, b) => a - b);
      say(
        `${saver.saved} checkpoints, ${moves.length} migrations, downtime ${downtimes[0]} to ${downtimes.at(-1)} ms, half of them below ${downtimes[downtimes.length >> 1]} ms`,
      );
      assert.deepEqual(await containerOf(standing.pod.name), container, 'what was restored runs on');
      for (const mover of [...movers, standing]) {
        const { uid, name } = mover.pod;
        const seen = countsIn(written.of(uid)).length;
        await until(`${name} counts on`, () => countsIn(written.of(uid)).length > seen + 3);
        assert.deepEqual(written.compare(uid, false, mover.uids).problems, [], name);
        assert.equal(countProblem(countsIn(await it.must('logs', name))), undefined, name);
      }
      for (const { seen } of watches) assert.deepEqual(seen, [], 'never two copies');
    } finally {
      for (const watch of watches) watch.close();
      for (const mover of movers) await mover.stop().catch(() => {});
      await saver.stop().catch(() => {});
    }

    for (const { pod } of [...movers, standing]) await it.must('delete', 'pod', pod.name, '--grace-period=1');
    let left = {};
    await until(
      'all is as it was',
      async () => {
        left = await state();
        const same = JSON.stringify(left) === JSON.stringify(empty);
        return same && frozen(cluster).length === 0 && (await archives()).length === 0;
      },
      { timeoutMs: 90_000, everyMs: 500 },
    ).catch(async (error: unknown) => {
      assert.deepEqual(left, empty);
      assert.deepEqual(frozen(cluster), []);
      assert.deepEqual(await archives(), []);
      throw error;
    });
  });
});
