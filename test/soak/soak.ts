/**
 * Many migrations of one counter in a row, there and back between two nodes, while the controller and agents are killed at
 * random times. What is restored is what is moved next. A migration that is rolled back is repeated.
 */
import { join } from 'node:path';
import type { PodMigration } from '../../common/api/schema.js';
import type { KubeClient } from '../../common/kube/client.js';
import type { Pod } from '../../common/kube/types.js';
import { countProblem, countsIn } from '../support/counts.js';
import type { Cluster } from '../cluster/cluster.js';
import { CopyWatch, copiesOf } from '../faults/copies.js';
import { counterPod } from '../faults/counter.js';
import { frozen } from '../faults/leftovers.js';
import { readyForPods } from '../faults/ready.js';
import { superviseController } from '../faults/supervisor.js';
import { WrittenFiles } from '../faults/written.js';
import { until } from '../support/until.js';
import { draws } from './draws.js';
import { carryOut, planKills } from './kills.js';
import { imagesOf, remains } from './remains.js';

const NAMESPACE = 'default';
/** A migration ends within so long, whoever is killed. */
const END_MS = 90_000;
const SETTLED_MS = 30_000;
/** So many of those that are rolled back are repeated, for each that is wanted. */
const ATTEMPTS = 4;

export interface SoakOptions {
  /** How many migrations are to succeed. */
  count: number;
  seed: number;
  say: (line: string) => void;
}

export interface SoakResult {
  succeeded: number;
  /** Sentences of migrations that were rolled back. */
  rolledBack: string[];
  kills: number;
  /** The last count in the file. */
  counted: number;
}

/** @throws with the first thing that is not as it must be */
export async function soak(cluster: Cluster, { count, seed, say }: SoakOptions): Promise<SoakResult> {
  const kube = cluster.client();
  await readyForPods(cluster, kube);
  const images = await imagesOf(cluster);
  const endSupervision = superviseController(cluster);
  const run = new Soak(cluster, kube, draws(seed));
  try {
    await run.start();
    const result: SoakResult = { succeeded: 0, rolledBack: [], kills: 0, counted: 0 };
    for (let attempt = 1; result.succeeded < count; attempt++) {
      if (attempt > count * ATTEMPTS) {
        throw new Error(
          `Only ${result.succeeded} of ${attempt - 1} migrations succeeded: ${result.rolledBack.join(' ')}`,
        );
      }
      const { migration, killed, seconds } = await run.migrate(attempt);
      const { phase, message = '' } = migration.status ?? {};
      result.kills += killed.length;
      if (phase === 'Succeeded') result.succeeded++;
      else result.rolledBack.push(message);
      result.counted = await run.check();
      say(
        `${result.succeeded}/${count} ${phase === 'Succeeded' ? '' : 'rolled back '}in ${seconds.toFixed(1)} s, killed ` +
          `${killed.join(', ') || 'nobody'}; counted to ${result.counted}. ${message}`,
      );
    }
    await run.deletePod();
    let left: string[] = [];
    await until(
      'nothing is left but finished objects',
      async () => (left = await remains(cluster, kube, run.mark, images)).length === 0,
      { timeoutMs: SETTLED_MS, everyMs: 300 },
    ).catch((error: unknown) => {
      throw left.length > 0 ? new Error(`Left behind: ${left.join('; ')}`) : error;
    });
    return result;
  } finally {
    run.close();
    await endSupervision();
    kube.close();
  }
}

class Soak {
  readonly mark = `soak-${process.pid}`;
  readonly #written: WrittenFiles;
  readonly #watch: CopyWatch;
  #pod!: Pod;

  constructor(
    private readonly cluster: Cluster,
    private readonly kube: KubeClient,
    private readonly draw: () => number,
  ) {
    this.#written = new WrittenFiles(
      new Map(cluster.nodes.map((node) => [node.name, join(node.dir, 'var/lib/kubelet/pods')])),
    );
    this.#watch = new CopyWatch(this.mark);
  }

  close(): void {
    this.#watch.close();
    this.#written.close();
  }

  async start(): Promise<void> {
    const pod = counterPod(this.mark, this.mark, this.cluster.nodes[0]!.name);
    this.#pod = await this.kube.pods.create(pod as Partial<Pod>, NAMESPACE);
    await this.#countsOn(5);
  }

  /** Answers a migration that has ended, and who was killed meanwhile and when. */
  async migrate(attempt: number): Promise<{ migration: PodMigration; killed: string[]; seconds: number }> {
    const from = this.#pod.spec?.nodeName;
    const nodes = this.cluster.nodes.map(({ name }) => name);
    const kills = planKills(nodes, this.draw);
    const name = `${this.mark}-${attempt}`;
    const spec = { podName: this.#pod.metadata.name, targetNode: nodes.find((node) => node !== from)! };
    // The connection of a busy machine may be cut with the request on its way: it may have arrived.
    await until(`migration ${name} is asked for`, async () => {
      if (await this.kube.podMigrations.find(name, NAMESPACE)) return true;
      return this.kube.podMigrations.create({ metadata: { name, namespace: NAMESPACE }, spec }, NAMESPACE);
    });
    const begin = performance.now();
    const ended = new AbortController();
    const killing = carryOut(this.cluster, kills, ended.signal);
    try {
      const migration = await until(
        `migration ${name} has ended`,
        async () => {
          const found = await this.kube.podMigrations.get(name, NAMESPACE);
          return /^(Succeeded|Failed)$/.test(found.status?.phase ?? '') && found;
        },
        { timeoutMs: END_MS },
      ).catch(async (error: unknown) => {
        const found = await this.kube.podMigrations.find(name, NAMESPACE);
        throw new Error(`${String(error)}: ${JSON.stringify(found?.status)}`);
      });
      const seconds = (performance.now() - begin) / 1000;
      ended.abort();
      const killed = (await killing).map(({ who, afterMs }) => `${who} after ${afterMs / 1000} s`);
      return { migration, killed, seconds };
    } finally {
      ended.abort();
      await killing;
    }
  }

  /** One pod runs, is the only copy and holds every count once. Answers the last. */
  async check(): Promise<number> {
    let wrong = '';
    await until('one copy runs', async () => !(wrong = await this.#wrong()), { timeoutMs: SETTLED_MS }).catch(
      (error: unknown) => {
        throw wrong ? new Error(wrong) : error;
      },
    );
    const uid = this.#pod.metadata.uid!;
    await this.#countsOn(2);
    const { problems } = this.#written.compare(uid, false);
    const path = `${this.kube.pods.path(NAMESPACE, this.#pod.metadata.name)}/log`;
    const log = await until('its log is read', () => this.kube.text('GET', path));
    const gap = countProblem(countsIn(log));
    if (gap) problems.push(`in the log ${gap}`);
    if (this.#watch.seen.length > 0) problems.push(`two copies could execute: ${this.#watch.seen[0]}`);
    if (problems.length > 0) throw new Error(problems.join('; '));
    return countsIn(this.#written.of(uid)).length;
  }

  /** What is not yet as it must be after a migration; empty when all is well. */
  async #wrong(): Promise<string> {
    const { items } = await this.kube.pods.list({ namespace: NAMESPACE });
    const says = items.map(({ metadata, status }) => `${metadata.name} ${status?.phase}`).join(', ');
    const [pod] = items;
    if (!pod || items.length > 1) return `${items.length} pods: ${says}`;
    if (pod.metadata.deletionTimestamp || pod.status?.phase !== 'Running') return says;
    this.#pod = pod;
    const copies = copiesOf(this.mark);
    if (copies.length !== 1)
      return `${copies.length} copies: ${copies.map(({ cgroup }) => cgroup).join(', ')}`;
    if (!copies[0]!.cgroup.includes(pod.metadata.uid!))
      return `${copies[0]!.cgroup} is not of ${pod.metadata.name}`;
    const still = frozen(this.cluster);
    return still.length > 0 ? `frozen: ${still.join(', ')}` : '';
  }

  async #countsOn(lines: number): Promise<void> {
    const uid = this.#pod.metadata.uid!;
    const before = countsIn(this.#written.of(uid)).length;
    await until(
      `${this.#pod.metadata.name} counts`,
      () => countsIn(this.#written.of(uid)).length > before + lines,
    );
  }

  async deletePod(): Promise<void> {
    await this.kube.pods.delete(this.#pod.metadata.name, NAMESPACE, { gracePeriodSeconds: 1 });
  }
}
