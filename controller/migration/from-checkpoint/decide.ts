/**
 * What to do next about a migration that brings back a saved checkpoint: Pending, MigrationInProgress (the archives reach the
 * node), RestoreInProgress, Succeeded or Failed. The checkpoint is only read. Nothing waits frozen for the outcome, so what
 * is at stake is the new pod alone; the ways out are taking-back.ts before the commit, brought-back.ts after it.
 */
import type { MigrationPhase } from '../../../common/api/schema.js';
import type { Draft } from '../draft.js';
import { migrationInProgress, restoreInProgress } from '../frozen.js';
import { broughtBack } from './brought-back.js';
import { pending } from './pending.js';
import { takingBack } from './taking-back.js';

export function bringBack(draft: Draft): void {
  if (draft.has('Committed')) broughtBack(draft);
  else if (draft.has('RollingBack')) takingBack(draft);
  else inPhase(draft, draft.status.phase ?? 'Pending');
}

function inPhase(draft: Draft, phase: MigrationPhase): void {
  switch (phase) {
    case 'Pending':
      return pending(draft);
    case 'MigrationInProgress':
      return migrationInProgress(draft);
    case 'RestoreInProgress':
      return restoreInProgress(draft);
    // The checkpoint was taken before.
    case 'CheckpointInProgress':
    case 'CheckpointCompleted':
    case 'Succeeded':
    case 'Failed':
      return;
    default:
      phase satisfies never;
  }
}
