/**
 * What to do next about a migration: pure, from what was observed to the status as it is to be and what is to be started.
 * One function for each of the guide's phases, and two for the ways out of them: rolling back before the commit, forward
 * after it.
 */
import type { MigrationPhase, PodMigration } from '../../common/api/schema.js';
import { isTrue } from '../status/conditions.js';
import { Draft } from './draft.js';
import { forward } from './forward.js';
import {
  checkpointCompleted,
  checkpointInProgress,
  migrationInProgress,
  restoreInProgress,
} from './frozen.js';
import { bringBack } from './from-checkpoint/decide.js';
import { isRestore } from './from-checkpoint/is-restore.js';
import type { Decision, Observed } from './observed.js';
import { pending } from './pending.js';
import { preflight } from './preflight/decide.js';
import { isPreflight } from './preflight/is-preflight.js';
import { rollingBack } from './rolling-back.js';

export function decide(observed: Observed): Decision {
  const draft = new Draft(observed);
  const { status } = observed.migration;
  const phase: MigrationPhase = status?.phase ?? 'Pending';
  if (isFinal(observed.migration)) draft.finalizer = 'remove';
  else if (isPreflight(observed.migration)) preflight(draft);
  else if (isRestore(observed.migration)) bringBack(draft);
  else if (isTrue(status?.conditions, 'Committed')) forward(draft);
  else if (isTrue(status?.conditions, 'RollingBack')) rollingBack(draft);
  else inPhase(draft, phase);
  return draft.decision();
}

function inPhase(draft: Draft, phase: MigrationPhase): void {
  switch (phase) {
    case 'Pending':
      return pending(draft);
    case 'CheckpointInProgress':
      return checkpointInProgress(draft);
    case 'CheckpointCompleted':
      return checkpointCompleted(draft);
    case 'MigrationInProgress':
      return migrationInProgress(draft);
    case 'RestoreInProgress':
      return restoreInProgress(draft);
    case 'Succeeded':
    case 'Failed':
      return;
    default:
      phase satisfies never;
  }
}

/** Ended: nothing will change any more. */
export function isFinal(migration: PodMigration): boolean {
  const phase = migration.status?.phase;
  return phase === 'Succeeded' || phase === 'Failed';
}
