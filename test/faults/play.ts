/** Plays one case: a counter, a migration of it, a fault in between; then the state of the world is looked at. */
import { cpSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { PodMigration } from '../../common/api/schema.js';
import { messageOf } from '../../common/errors.js';
import { ApiError } from '../../common/kube/api-error.js';
import type { Pod } from '../../common/kube/types.js';
import { countProblem, countsIn } from '../support/counts.js';
import { until } from '../support/until.js';
import { isLinkCase, nameOf, SOURCE, TARGET, type Case } from './cases.js';
import { CopyWatch, copiesOf } from './copies.js';
import { counterPod } from './counter.js';
import { frozen, leftovers } from './leftovers.js';
import type { World } from './world.js';
import { textFrom, WrittenFiles } from './written.js';

const NAMESPACE = 'default';
/** Who hangs is let go after so long at the latest: longer than the test build waits for anybody. */
const HANG_MS = 5000;
/** A link that is healed soon carries nothing for so long. */
const SOON_MS = 2500;
/** A link that is healed late carries nothing until the migration has ended or is stuck, or for so long. */
const LATE_MS = 12_000;
const END_MS = 60_000;

export interface Outcome {
  /** How the migration ended: "succeeded", "rolled back"; with "stuck first" when it said so on its way. */
  ended: string;
  seconds: number;
  /** What is not as it must be; nothing when all is well. */
  problems: string[];
  /** Something is left on the cluster that could be taken for the next case's. */
  dirty: boolean;
  /** The migration failed for another reason before it came to the place. */
  notMet: boolean;
  /** Folder with the logs, when something is wrong. */
  logs?: string;
}

let counter = 0;

/** @param leave leave everything as it is when something is wrong */
export async function play(world: World, one: Case, leave = false): Promise<Outcome> {
  const begin = performance.now();
  const name = `c${process.pid % 10_000}-${++counter}`;
  const it = new Play(world, one, name);
  const problems: string[] = [];
  let ended = 'did not end';
  let waits = false;
  try {
    ended = await it.run();
    problems.push(...(await it.problems()));
    if (it.startedAgain) ended += ', crashed by its runtime, started from its image';
  } catch (error) {
    problems.push(messageOf(error));
  }
  const seconds = (performance.now() - begin) / 1000;
  let logs = problems.length > 0 ? await it.keepLogs(problems).catch(messageOf) : undefined;
  if (problems.length === 0 || !leave) {
    const left = await it
      .cleanUp()
      // A connection that was cut is no fault of the case.
      .catch(() => it.cleanUp())
      .catch((error: unknown) => [`cleaning up: ${messageOf(error)}`]);
    // A node that nobody could ask keeps what it had, frozen, until it is found to belong to nobody, long after this.
    if (it.decided) waits = left.length > 0;
    else problems.push(...left);
    if (problems.length > 0) logs ??= await it.keepLogs(problems).catch(messageOf);
  }
  if (waits) ended += ', the rest waits for the sweep';
  return {
    ended,
    seconds,
    problems,
    dirty: waits || problems.length > 0,
    notMet: it.notMet,
    ...(logs ? { logs } : {}),
  };
}

class Play {
  notMet = false;
  /** The copy that is left was crashed from below and started anew by the kubelet. */
  startedAgain = false;
  readonly #began = Date.now();
  decided = false;
  readonly #written: WrittenFiles;
  readonly #watch: CopyWatch;
  readonly #logs: { name: string; path: string; from: number }[];

  constructor(
    private readonly world: World,
    private readonly one: Case,
    private readonly name: string,
  ) {
    const { cluster } = world;
    this.#written = new WrittenFiles(
      new Map(cluster.nodes.map((node) => [node.name, join(node.dir, 'var/lib/kubelet/pods')])),
    );
    this.#watch = new CopyWatch(name);
    this.#logs = [
      ...['controller.log', 'control-plane.log', 'relay.log'].map((name) => ({
        name,
        path: join(cluster.layout.logs, name),
      })),
      ...cluster.nodes.flatMap((node) =>
        ['agent', 'kubelet', 'containerd'].map((log) => ({
          name: `${node.name}-${log}.log`,
          path: join(node.logDir, `${log}.log`),
        })),
      ),
    ].map((log) => ({ ...log, from: statSync(log.path, { throwIfNoEntry: false })?.size ?? 0 }));
  }

  /** Answers how the migration ended. */
  async run(): Promise<string> {
    const { kube, faults } = this.world;
    const pod = await kube.pods.create(counterPod(this.name, this.name, SOURCE) as Partial<Pod>, NAMESPACE);
    const uid = pod.metadata.uid!;
    await until(`${this.name} counts`, () => countsIn(this.#written.of(uid)).length > 5, { everyMs: 20 });
    // It counts before its kubelet has said so, and a pod that is Pending is refused.
    const running = async () => (await kube.pods.get(this.name, NAMESPACE)).status?.phase === 'Running';
    await until(`${this.name} is Running`, running);
    const { first, point, pass, kind } = isLinkCase(this.one)
      ? { first: [], point: this.one.moment, pass: 1, kind: 'hang' as const }
      : { ...this.one, kind: this.one.column };
    for (const [earlier, what] of first) faults.arm(earlier, what);
    faults.arm(point, kind, pass);
    await kube.podMigrations.create(
      {
        metadata: { name: this.name, namespace: NAMESPACE },
        spec: { podName: this.name, targetNode: TARGET, tcp: 'Close', timeoutSeconds: 40 },
      },
      NAMESPACE,
    );
    // A place that is not met before the migration has ended will not be met any more.
    await until(`${point} was met`, async () => faults.fired(point) || (await this.#ended()), {
      timeoutMs: END_MS,
      everyMs: 10,
    });
    this.notMet = !faults.fired(point);
    let wasStuck = false;
    if (isLinkCase(this.one)) {
      await this.world.cluster.network.cut(...this.one.link);
      faults.release(point);
      if (this.one.healed === 'soon') await delay(SOON_MS);
      else wasStuck = await this.#standstill(LATE_MS);
      if (wasStuck && this.one.healed === 'after a decision') {
        await this.#decide();
        await until('the decision is carried out', () => this.#ended(), { timeoutMs: END_MS });
      }
      await this.world.cluster.network.heal();
    } else if (kind === 'hang') {
      wasStuck = await this.#standstill(HANG_MS);
      faults.release(point);
    }
    const migration = await until('the migration has ended', () => this.#ended(), { timeoutMs: END_MS });
    if (this.notMet) throw new Error(`${point} was not met: ${migration.status?.message ?? ''}`);
    const how = migration.status?.phase === 'Succeeded' ? 'succeeded' : 'rolled back';
    if (this.decided) return `${how} by a decision`;
    return wasStuck ? `${how} after it was stuck` : how;
  }

  /** Waits until nothing goes on without help. True when the migration says that it is stuck. */
  async #standstill(limitMs: number): Promise<boolean> {
    const end = performance.now() + limitMs;
    while (performance.now() < end) {
      const migration = await this.#migration();
      if (isFinal(migration)) return false;
      if (isStuck(migration)) return true;
      await delay(100);
    }
    return false;
  }

  /** Decides as a person would who has gone and looked: the copy that runs on the target is kept, else the source. */
  async #decide(): Promise<void> {
    const runsThere = copiesOf(this.name).some(({ cgroup, frozen }) => cgroup.includes(TARGET) && !frozen);
    await this.world.kube.podMigrations.patch(this.name, NAMESPACE, {
      spec: { resolution: runsThere ? 'Target' : 'Source' },
    });
    this.decided = true;
  }

  async #migration(): Promise<PodMigration | undefined> {
    return this.world.kube.podMigrations.find(this.name, NAMESPACE);
  }

  async #ended(): Promise<PodMigration | undefined> {
    const migration = await this.#migration();
    // The finalizer goes after the end state is written.
    return isFinal(migration) && !migration?.metadata.finalizers?.length ? migration : undefined;
  }

  /** Everything that must be true now, whatever has happened. */
  async problems(): Promise<string[]> {
    const { cluster, kube, faults } = this.world;
    faults.clear();
    const found: string[] = [];
    const settled = async (): Promise<string[]> => {
      const wrong: string[] = [];
      // The source of a target that a person has kept stands still for ever, where nobody could ask its node.
      const copies = copiesOf(this.name).filter(({ frozen }) => !(this.decided && frozen));
      if (copies.length !== 1)
        wrong.push(`${copies.length} copies: ${copies.map(({ cgroup }) => cgroup).join(', ')}`);
      for (const { cgroup } of copies.filter((copy) => copy.frozen)) wrong.push(`${cgroup} is frozen`);
      const pods = (await kube.pods.list({ namespace: NAMESPACE })).items.filter(({ metadata }) =>
        metadata.name.startsWith(this.name),
      );
      const says = pods.map((pod) => `${pod.metadata.name} ${pod.status?.phase}`).join(', ');
      const [pod] = pods;
      if (pods.length !== 1 || !pod) wrong.push(`${pods.length} pods: ${says}`);
      else {
        if (pod.metadata.deletionTimestamp) wrong.push(`${pod.metadata.name} is being deleted`);
        if (pod.status?.phase !== 'Running') wrong.push(says);
        if (copies[0] && !copies[0].cgroup.includes(pod.metadata.uid!))
          wrong.push(`the copy in ${copies[0].cgroup} is not that of pod ${pod.metadata.name}`);
      }
      const migration = await this.#migration();
      if (migration?.metadata.finalizers?.length) wrong.push('the migration still has its finalizer');
      if (!this.decided) wrong.push(...frozen(cluster).map((cgroup) => `${cgroup} is frozen`));
      return wrong;
    };
    let last: string[] = [];
    await until('the world has settled', async () => (last = await settled()).length === 0, {
      timeoutMs: 15_000,
    }).catch(() => found.push(...last));

    const left = (await kube.pods.list({ namespace: NAMESPACE })).items.find(
      ({ metadata }) => metadata.name.startsWith(this.name) && !metadata.deletionTimestamp,
    );
    if (left) {
      const uid = left.metadata.uid!;
      const before = countsIn(this.#written.of(uid)).length;
      await until('it counts on', () => countsIn(this.#written.of(uid)).length > before + 2, {
        timeoutMs: 5000,
      }).catch((error: unknown) => found.push(messageOf(error)));
      const { problems, starts } = this.#written.compare(uid, !isLinkCase(this.one) && this.one.crash);
      found.push(...problems);
      this.startedAgain = starts > 1;
      const log = await kube.text('GET', `${kube.pods.path(NAMESPACE, left.metadata.name)}/log`);
      const gap = countProblem(countsIn(log));
      if (gap) found.push(`in the log ${gap}`);
    } else found.push('no pod is left');
    if (this.#watch.seen.length > 0) found.push(`two copies could execute: ${this.#watch.seen[0]}`);
    return [...new Set(found)];
  }

  /** Deletes all of the case; what is left then is a problem. */
  async cleanUp(): Promise<string[]> {
    const { cluster, kube, faults } = this.world;
    this.#watch.close();
    this.#written.close();
    faults.clear();
    await cluster.network.heal();
    await gone(() => kube.podMigrations.delete(this.name, NAMESPACE));
    const { items } = await kube.pods.list({ namespace: NAMESPACE });
    await Promise.all(
      items.map(({ metadata }) =>
        gone(() => kube.pods.delete(metadata.name, NAMESPACE, { gracePeriodSeconds: 1 })),
      ),
    );
    let last: string[] = [];
    return until(
      'nothing is left',
      async () => {
        last = await leftovers(cluster, kube, this.name);
        return last.length === 0;
      },
      { timeoutMs: 20_000 },
    ).then(
      () => [],
      (error: unknown) => (last.length > 0 ? last.map((line) => `left behind: ${line}`) : [messageOf(error)]),
    );
  }

  /** Keeps what the programs have said since the case began, and the marks on the nodes. Answers the folder. */
  async keepLogs(problems: string[]): Promise<string> {
    const folder = join(this.world.logs, nameOf(this.one).replaceAll(/[^A-Za-z0-9.#-]+/g, '-'));
    mkdirSync(folder, { recursive: true });
    for (const { name, path, from } of this.#logs) writeFileSync(join(folder, name), textFrom(path, from));
    for (const node of this.world.cluster.nodes) {
      cpSync(join(node.dir, 'var/lib/lpm'), join(folder, node.name), {
        recursive: true,
        // Not the dumps themselves, nor what an earlier case has left.
        filter: (path) => {
          const found = statSync(path);
          return (
            !/\/(stage|incoming|checkpoint)$/.test(path) &&
            (found.isDirectory() || found.mtimeMs >= this.#began)
          );
        },
      });
    }
    const migration = await this.#migration().catch(messageOf);
    const pods = await this.world.kube.pods.list({ namespace: NAMESPACE }).catch(messageOf);
    const copies = copiesOf(this.name);
    writeFileSync(join(folder, 'case.json'), JSON.stringify({ problems, copies, migration, pods }, null, 2));
    return folder;
  }
}

function isFinal(migration: PodMigration | undefined): boolean {
  return migration?.status?.phase === 'Succeeded' || migration?.status?.phase === 'Failed';
}

function isStuck(migration: PodMigration | undefined): boolean {
  return (
    migration?.status?.conditions?.some(({ type, status }) => type === 'Stuck' && status === 'True') ?? false
  );
}

async function gone(remove: () => Promise<void>): Promise<void> {
  try {
    await remove();
  } catch (error) {
    if (!(error instanceof ApiError) || !error.isNotFound) throw error;
  }
}
