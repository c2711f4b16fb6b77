/** Deletes something in the middle of a migration of a counter, and looks at what is left of it. */
import { join } from 'node:path';
import type { Pod } from '../../../common/kube/types.js';
import { SOURCE, TARGET } from '../../faults/cases.js';
import { CopyWatch, copiesOf } from '../../faults/copies.js';
import { counterPod } from '../../faults/counter.js';
import { frozen, leftovers } from '../../faults/leftovers.js';
import type { World } from '../../faults/world.js';
import { WrittenFiles } from '../../faults/written.js';
import { countsIn } from '../../support/counts.js';
import { until } from '../../support/until.js';
import { expected, WHEN, type Deletion } from './table.js';

const POD = 'counter';
const ATTEMPTS = 5;
/** What is deleted before the commit is noticed by the controller while the phase is held; it is not waited for any longer. */
const NOTICED_MS = 4000;
const SETTLED_MS = 60_000;

let played = 0;

/** @throws with what is not as a user would expect */
export async function play(world: World, deletion: Deletion): Promise<void> {
  const it = new Play(world, deletion, `deleting-${process.pid}-${++played}`);
  try {
    await it.startCounter();
    await it.migrateUntilHeld();
    await it.delete();
    await it.settles();
  } catch (error) {
    it.close();
    // What is left of this one must not be counted against the next.
    await it.leavesNothing().catch(() => {});
    throw error;
  }
  it.close();
  await it.leavesNothing();
}

class Play {
  readonly #written: WrittenFiles;
  readonly #watch: CopyWatch;
  #migration = '';
  #uids: Record<'source' | 'target', string> = { source: '', target: '' };

  constructor(
    private readonly world: World,
    private readonly deletion: Deletion,
    /** Of the namespace, and what marks the counter's processes. */
    private readonly name: string,
  ) {
    this.#written = new WrittenFiles(
      new Map(world.cluster.nodes.map((node) => [node.name, join(node.dir, 'var/lib/kubelet/pods')])),
    );
    this.#watch = new CopyWatch(name);
  }

  close(): void {
    this.world.faults.clear();
    this.#watch.close();
    this.#written.close();
  }

  async startCounter(): Promise<void> {
    const { kube } = this.world;
    await kube.namespaces.create({ metadata: { name: this.name } });
    const pod = counterPod(POD, this.name, SOURCE) as Partial<Pod>;
    // Pods are refused until the namespace has its service account.
    const { metadata } = await until('the pod is accepted', () => kube.pods.create(pod, this.name));
    this.#uids.source = metadata.uid!;
    await this.#countsOn(metadata.uid!, 5);
  }

  async #countsOn(uid: string, lines: number): Promise<void> {
    const before = countsIn(this.#written.of(uid)).length;
    await until('it counts', () => countsIn(this.#written.of(uid)).length > before + lines, { everyMs: 20 });
  }

  /**
   * A migration that is in the phase that is wanted and stays there. The test build waits for nobody for long; a migration that
   * a busy machine has made it give up before is begun again.
   */
  async migrateUntilHeld(): Promise<void> {
    const { kube, faults } = this.world;
    const point = WHEN[this.deletion.when];
    faults.arm(point, 'hang');
    for (let attempt = 1; !faults.fired(point); attempt++) {
      if (attempt > ATTEMPTS) throw new Error(`${point} was not met by ${ATTEMPTS} migrations`);
      this.#migration = `move-${attempt}`;
      const metadata = { name: this.#migration, namespace: this.name };
      const spec = { podName: POD, targetNode: TARGET, tcp: 'Close' as const };
      await kube.podMigrations.create({ metadata, spec }, this.name);
      await until(`${point} was met`, async () => faults.fired(point) || (await this.#phase()) === 'Failed', {
        timeoutMs: SETTLED_MS,
        everyMs: 10,
      });
    }
    this.#uids.target = (await kube.pods.get(`${POD}-restored`, this.name)).metadata.uid!;
  }

  async #phase(): Promise<string> {
    const found = await this.world.kube.podMigrations.find(this.#migration, this.name);
    return found ? (found.status?.phase ?? 'without a phase') : 'gone';
  }

  async delete(): Promise<void> {
    const { what, when } = this.deletion;
    const { kube, faults } = this.world;
    // What `kubectl delete --force --grace-period=0` asks for.
    const force = { gracePeriodSeconds: 0, propagationPolicy: 'Background' as const };
    switch (what) {
      case 'the migration':
        await kube.podMigrations.delete(this.#migration, this.name);
        break;
      case 'the source':
        await kube.pods.delete(POD, this.name);
        break;
      case 'the source by force':
        await kube.pods.delete(POD, this.name, force);
        break;
      case 'the target':
        await kube.pods.delete(`${POD}-restored`, this.name);
        break;
      case 'the target by force':
        await kube.pods.delete(`${POD}-restored`, this.name, force);
        break;
      case 'the source’s node':
        await kube.nodes.delete(SOURCE);
        break;
      case 'the target’s node':
        await kube.nodes.delete(TARGET);
        break;
      case 'the namespace':
        await kube.namespaces.delete(this.name);
        break;
      default:
        what satisfies never;
    }
    if (when !== 'after the commit') await this.#noticed();
    faults.release(WHEN[when]);
  }

  /** Else a migration that is let go might be faster than the deletion. */
  async #noticed(): Promise<void> {
    await until(
      'the migration rolls back',
      async () => {
        const found = await this.world.kube.podMigrations.find(this.#migration, this.name);
        return !found || found.status?.conditions?.some(({ type }) => type === 'RollingBack');
      },
      { timeoutMs: NOTICED_MS },
    );
  }

  /** Everything is as a user would expect, and stays so for as long as it takes to look. */
  async settles(): Promise<void> {
    let wrong: string[] = [];
    await until('all is as expected', async () => (wrong = await this.#wrong()).length === 0, {
      timeoutMs: SETTLED_MS,
    }).catch((error: unknown) => {
      throw wrong.length > 0 ? new Error(wrong.join('; ')) : error;
    });
    const { left } = expected(this.deletion);
    const problems: string[] = [];
    if (left) {
      await this.#countsOn(this.#uids[left], 2);
      problems.push(...this.#written.compare(this.#uids[left], false).problems);
    }
    if (this.#watch.seen.length > 0) problems.push(`two copies could execute: ${this.#watch.seen[0]}`);
    if (problems.length > 0) throw new Error(problems.join('; '));
  }

  async #wrong(): Promise<string[]> {
    const { cluster, kube } = this.world;
    const { left, migration } = expected(this.deletion);
    const wrong = frozen(cluster).map((cgroup) => `${cgroup} is frozen`);

    const found = await kube.podMigrations.find(this.#migration, this.name);
    const phase = found?.status?.phase ?? (found ? 'without a phase' : 'gone');
    if (phase !== migration)
      wrong.push(`the migration is ${phase}, not ${migration}: ${found?.status?.message ?? ''}`);
    if (found?.metadata.finalizers?.length) wrong.push('the migration has its finalizer');

    const { items } = await kube.pods.list({ namespace: this.name });
    const says =
      items.map(({ metadata, status }) => `${metadata.name} ${status?.phase}`).join(', ') || 'none';
    const wanted = left ? [this.#uids[left]] : [];
    if (items.map(({ metadata }) => metadata.uid).join() !== wanted.join()) {
      wrong.push(`pods: ${says}; expected: ${left ?? 'none'}`);
    } else if (items.some((pod) => pod.metadata.deletionTimestamp || pod.status?.phase !== 'Running')) {
      wrong.push(`pods: ${says}`);
    }
    const copies = copiesOf(this.name);
    if (copies.length !== wanted.length)
      wrong.push(`${copies.length} copies: ${copies.map(({ cgroup }) => cgroup).join(', ')}`);
    for (const { cgroup } of copies) {
      if (!wanted.some((uid) => cgroup.includes(uid))) wrong.push(`${cgroup} runs`);
    }
    if (this.deletion.what === 'the namespace' && (await kube.namespaces.find(this.name))) {
      wrong.push('the namespace is still there');
    }
    return wrong;
  }

  /** The namespace goes with all that is in it, and the nodes are as before. */
  async leavesNothing(): Promise<void> {
    const { cluster, kube } = this.world;
    if (await kube.namespaces.find(this.name)) {
      await kube.namespaces.delete(this.name);
    }
    let left: string[] = [];
    await until(
      'nothing is left',
      async () => {
        left = await leftovers(cluster, kube, this.name);
        if (await kube.namespaces.find(this.name)) left.push(`namespace ${this.name}`);
        // Kubelets register their nodes again, as after a restart.
        const { items } = await kube.nodes.list();
        const ready = items.filter(({ status }) =>
          status?.conditions?.some((one) => one.type === 'Ready' && one.status === 'True'),
        );
        if (ready.length < cluster.nodes.length) left.push(`only ${ready.length} nodes are ready`);
        return left.length === 0;
      },
      { timeoutMs: SETTLED_MS, everyMs: 200 },
    ).catch((error: unknown) => {
      throw left.length > 0 ? new Error(`Left behind: ${left.join('; ')}`) : error;
    });
  }
}
