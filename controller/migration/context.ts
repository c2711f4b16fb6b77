/** What this process remembers of one migration while it is active. Nothing of it decides safety: it can be lost. */
import type { PodMigration } from '../../common/api/schema.js';
import type { Pod } from '../../common/kube/types.js';
import type { Log } from '../log.js';
import { OperationSet } from '../operations.js';
import type { Parts } from '../parts.js';
import { StatusRecorder } from '../status/recorder.js';
import { isFinal } from './decide.js';
import { noOperations, type Operations } from './observed.js';

export class MigrationContext {
  readonly operations: OperationSet<Operations>;
  readonly recorder: StatusRecorder<PodMigration>;
  readonly log: Log;
  /** As the API server answered when it was created: the watch may show it later. */
  createdTarget: Pod | undefined;
  /** UID of the PodCheckpoint, once it is known. */
  checkpointUid: string | undefined;
  /** Writes to the checkpoint objects, one after the other. */
  checkpointWrites: Promise<void> = Promise.resolve();
  /** The end state is written and the finalizer is gone. */
  finished = false;
  #deletionTimestamp: string | undefined;
  /** The newest version that a watch has shown. */
  #shown: PodMigration | undefined;

  constructor(
    readonly key: string,
    migration: PodMigration,
    parts: Parts,
    changed: () => void,
  ) {
    this.log = parts.log.with({ migration: key });
    this.operations = new OperationSet(
      noOperations(),
      changed,
      (operation, failure) =>
        this.log.warn(`${operation} failed: ${failure.message}`, {
          operation,
          reason: failure.reason,
          ...(failure.log ? { log: failure.log } : {}),
        }),
      parts.now,
    );
    this.recorder = new StatusRecorder(migration, parts.client.podMigrations, {
      onError: (error) =>
        this.log.warn(
          `The status cannot be written: ${error instanceof Error ? error.message : String(error)}`,
        ),
      onSuperseded: changed,
    });
  }

  get uid(): string {
    return this.recorder.object.metadata.uid!;
  }

  get ended(): boolean {
    return isFinal(this.migration);
  }

  /** The migration with its newest status. One whose object is gone without us having ended it counts as deleted. */
  get migration(): PodMigration {
    const { object, status, gone } = this.recorder;
    const deletionTimestamp =
      this.#deletionTimestamp ??
      object.metadata.deletionTimestamp ??
      (gone ? new Date(0).toISOString() : undefined);
    const generation = Math.max(object.metadata.generation ?? 1, this.#shown?.metadata.generation ?? 1);
    const { spec } = this.#shown?.metadata.generation === generation ? this.#shown : object;
    return {
      ...object,
      metadata: { ...object.metadata, generation, ...(deletionTimestamp ? { deletionTimestamp } : {}) },
      spec,
      ...(status ? { status } : {}),
    };
  }

  /**
   * Notes what a watch shows of the object: whether it is being deleted, and what its user has asked for since (spec.cancel,
   * spec.resolution). One that is stuck writes nothing for long, so no answer of the API server would tell.
   */
  seen(object: PodMigration | undefined): void {
    if (!object || object.metadata.uid !== this.uid) {
      this.#deletionTimestamp ??= new Date().toISOString();
      return;
    }
    this.#shown = object;
    if (object.metadata.deletionTimestamp) this.#deletionTimestamp = object.metadata.deletionTimestamp;
  }
}
