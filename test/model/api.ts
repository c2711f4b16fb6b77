/** The API server's part that matters here: resource versions, finalizers, preconditions, and watches that lag behind. */
import type { PodMigration } from '../../common/api/schema.js';
import { FINALIZER } from '../../common/api/names.js';
import type { Pod } from '../../common/kube/types.js';
import type { World } from './world.js';

/** 404, 409 (someone else was first) and 409 (that name is taken). */
export class Refused extends Error {
  constructor(readonly code: 'NotFound' | 'Conflict' | 'AlreadyExists') {
    super(code);
  }
}

export interface PodCheckpoint {
  name: string;
  uid: string;
  owner: string;
}

/** What a client has seen so far. */
export class Watch {
  migrations = new Map<string, PodMigration>();
  pods = new Map<string, Pod>();
  readonly queue: (() => void)[] = [];
  /** Changes seen so far. */
  seen = 0;
}

export class Api {
  readonly migrations = new Map<string, PodMigration>();
  readonly pods = new Map<string, Pod>();
  readonly checkpoints = new Map<string, PodCheckpoint>();
  readonly watches = new Set<Watch>();
  /** Containers that migrations were accepted for, also of those that are gone by now. */
  readonly accepted = new Set<string>();
  #version = 1;

  constructor(private readonly world: World) {}

  /** A new watch: the list first, then each change. */
  watch(): Watch {
    const watch = new Watch();
    watch.migrations = new Map(this.migrations);
    watch.pods = new Map(this.pods);
    this.watches.add(watch);
    return watch;
  }

  putMigration(migration: PodMigration): PodMigration {
    const { finalizers = [], deletionTimestamp, name } = migration.metadata;
    for (const { containerID } of migration.status?.sourceContainers ?? []) this.accepted.add(containerID);
    if (deletionTimestamp && finalizers.length === 0) {
      this.migrations.delete(name);
      this.#tell((watch) => watch.migrations.delete(name));
      return migration;
    }
    const next = { ...migration, metadata: { ...migration.metadata, resourceVersion: this.#next() } };
    this.migrations.set(name, next);
    this.#tell((watch) => watch.migrations.set(name, next));
    return next;
  }

  findMigration(name: string): PodMigration | undefined {
    return this.migrations.get(name);
  }

  #current(migration: PodMigration): PodMigration {
    const live = this.migrations.get(migration.metadata.name);
    if (!live || live.metadata.uid !== migration.metadata.uid) throw new Refused('NotFound');
    if (live.metadata.resourceVersion !== migration.metadata.resourceVersion) throw new Refused('Conflict');
    return live;
  }

  replaceStatus(migration: PodMigration): PodMigration {
    const live = this.#current(migration);
    return this.putMigration({ ...live, ...(migration.status ? { status: migration.status } : {}) });
  }

  setFinalizer(migration: PodMigration, wanted: boolean): PodMigration {
    const live = this.#current(migration);
    const others = (live.metadata.finalizers ?? []).filter((name) => name !== FINALIZER);
    const finalizers = wanted ? [...others, FINALIZER] : others;
    return this.putMigration({ ...live, metadata: { ...live.metadata, finalizers } });
  }

  deleteMigration(name: string): void {
    const live = this.migrations.get(name);
    if (!live || live.metadata.deletionTimestamp) return;
    const deletionTimestamp = new Date(this.world.now).toISOString();
    this.putMigration({ ...live, metadata: { ...live.metadata, deletionTimestamp } });
  }

  #put(pod: Pod): Pod {
    const next = { ...pod, metadata: { ...pod.metadata, resourceVersion: this.#next() } };
    this.pods.set(pod.metadata.name, next);
    this.#tell((watch) => watch.pods.set(pod.metadata.name, next));
    return next;
  }

  createPod(pod: Pod, uid: string): Pod {
    if (this.pods.has(pod.metadata.name)) throw new Refused('AlreadyExists');
    return this.#put({ ...pod, metadata: { ...pod.metadata, uid }, status: { phase: 'Pending' } });
  }

  /** Deletes; with force the object goes at once, whatever runs. */
  deletePod(name: string, uid: string | undefined, force: boolean): void {
    const pod = this.pods.get(name);
    if (!pod) throw new Refused('NotFound');
    if (uid !== undefined && pod.metadata.uid !== uid) throw new Refused('Conflict');
    if (force) {
      this.pods.delete(name);
      this.#tell((watch) => watch.pods.delete(name));
    } else if (!pod.metadata.deletionTimestamp) {
      this.#put({
        ...pod,
        metadata: { ...pod.metadata, deletionTimestamp: new Date(this.world.now).toISOString() },
      });
    }
  }

  /** The kubelet's report; a pod that is gone or another of its name is left alone. */
  patchPodStatus(uid: string, status: NonNullable<Pod['status']>): void {
    const pod = this.podByUid(uid);
    if (pod) this.#put({ ...pod, status });
  }

  podByUid(uid: string): Pod | undefined {
    for (const pod of this.pods.values()) if (pod.metadata.uid === uid) return pod;
    return undefined;
  }

  createCheckpoint(name: string, owner: string): PodCheckpoint {
    const known = this.checkpoints.get(name);
    if (known) {
      if (known.owner === owner) return known;
      throw new Refused('AlreadyExists');
    }
    const made = { name, owner, uid: this.world.id('checkpoint') };
    this.checkpoints.set(name, made);
    return made;
  }

  #next(): string {
    return String(++this.#version);
  }

  #tell(change: (watch: Watch) => void): void {
    for (const watch of this.watches) watch.queue.push(() => change(watch));
  }
}
