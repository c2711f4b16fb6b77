/** Those who work with the cluster: migrate, give up, delete, and decide when the migration says that it is stuck. */
import type { PodMigration } from '../../common/api/schema.js';
import { aMigration } from '../../controller/migration/build.testing.js';
import { isFinal } from '../../controller/migration/decide.js';
import { isTrue } from '../../controller/status/conditions.js';
import type { Steps } from './scheduler.js';
import type { World } from './world.js';

export class Person {
  /** Pods that somebody has deleted. */
  readonly deleted = new Set<string>();
  #migrations = 0;

  constructor(private readonly world: World) {}

  get #current(): PodMigration | undefined {
    return [...this.world.api.migrations.values()].at(-1);
  }

  migrate(): void {
    const { world } = this;
    const number = ++this.#migrations;
    const migration = aMigration({
      podName: 'counter',
      targetNode: world.targetNode,
      timeoutSeconds: world.setup.timeoutSeconds,
    });
    Object.assign(migration.metadata, { name: `m${number}`, uid: `migration-${number}` });
    world.api.putMigration(migration);
  }

  /** Tries once more when the first migration has failed and the pod is there. */
  *tryAgain(): Steps {
    const { world } = this;
    const failed = (): boolean => {
      const current = this.#current;
      return current === undefined || (isFinal(current) && current.status?.phase === 'Failed');
    };
    yield { at: '.wait for the first try', until: failed };
    yield { at: '.think', ms: 1000 };
    const pod = world.api.podByUid(world.sourcePod);
    if (pod && !pod.metadata.deletionTimestamp && !world.truth.restoredExecuted) {
      world.note('migrated again');
      this.migrate();
    }
  }

  touch(): void {
    const current = this.#current;
    if (!current) return;
    const annotations = { touched: String(this.world.now) };
    this.world.api.putMigration({ ...current, metadata: { ...current.metadata, annotations } });
  }

  deleteMigration(): void {
    const current = this.#current;
    if (current) this.world.api.deleteMigration(current.metadata.name);
  }

  cancel(): void {
    const current = this.#current;
    if (!current || isFinal(current)) return;
    this.#ask(current, { cancel: true });
  }

  #ask(current: PodMigration, spec: Partial<PodMigration['spec']>): void {
    const generation = (current.metadata.generation ?? 1) + 1;
    const metadata = { ...current.metadata, generation };
    this.world.api.putMigration({ ...current, metadata, spec: { ...current.spec, ...spec } });
  }

  /** Looks after a migration that says that it is stuck, and decides it when one of the nodes is gone for good. */
  *resolve(): Steps {
    const { world } = this;
    const { sourceNode, targetNode, truth } = world;
    const stuck = (): PodMigration | undefined =>
      [...world.api.migrations.values()].find(
        (each) =>
          !isFinal(each) && each.spec.resolution === undefined && isTrue(each.status?.conditions, 'Stuck'),
      );
    for (;;) {
      yield {
        at: '.wait for somebody to be needed',
        until: () => stuck() !== undefined && (truth.lost.has(sourceNode) || truth.lost.has(targetNode)),
      };
      yield { at: '.look at the nodes', ms: 30_000 };
      const current = stuck();
      if (!current) continue;
      const keep = truth.lost.has(targetNode) ? 'Source' : 'Target';
      // Nobody who has looked keeps a target that does not execute.
      if (keep === 'Target' && !truth.restoredExecuted) return;
      world.note(`resolved for the ${keep.toLowerCase()}`);
      truth.resolved = keep;
      this.#ask(current, { resolution: keep });
    }
  }

  deleteSource(force: boolean): void {
    this.#deletePod(this.world.sourcePod, force);
  }

  /** Its owner's controller makes another of its name, on another node. */
  replaceSource(): void {
    const { world } = this;
    const pod = world.api.podByUid(world.sourcePod);
    if (!pod) return;
    this.#deletePod(world.sourcePod, true);
    const spec = { ...pod.spec!, nodeName: 'c' };
    world.api.createPod({ ...pod, metadata: { name: pod.metadata.name }, spec }, 'pod-namesake');
    world.truth.namesake = true;
  }

  deleteTarget(force: boolean): void {
    const uid = this.#current?.status?.restoredPodUID;
    if (uid) this.#deletePod(uid, force);
  }

  #deletePod(uid: string, force: boolean): void {
    const pod = this.world.api.podByUid(uid);
    if (!pod) return;
    this.deleted.add(uid);
    this.world.api.deletePod(pod.metadata.name, uid, force);
  }

  get stuck(): boolean {
    return [...this.world.api.migrations.values()].some((each) => isTrue(each.status?.conditions, 'Stuck'));
  }
}
