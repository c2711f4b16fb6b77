/** What must be known before a saved checkpoint is brought back, collected by collect.ts and judged by checks.ts. */
import type { PodMigration } from '../../../common/api/schema.js';
import type { Binding } from '../../checkpoint/bound.js';
import type { NodeFacts } from '../facts.js';

export interface SavedFacts {
  migration: PodMigration;
  /** The checkpoint with its contents, or why there is none that can be used. */
  binding: Binding;
  /** Names of the pods in the namespace, without the one that was made for this migration. */
  podNames: string[];
  /** Names of pods that run and continue the same process. */
  twins: string[];
  nodeNames: string[];
  /** The node that was asked for, or all that the scheduler may choose from. */
  targets: NodeFacts[];
  /** The node on which the checkpoint was taken, if there is one of that name. */
  maker?: NodeFacts;
  /** ConfigMaps that the pod mounts and that are not there. */
  missingConfigMaps: string[];
  /** Other migrations in the namespace that have not ended. */
  otherMigrations: PodMigration[];
}
