/**
 * The places at which a crash matters, by name: what has just been done there, and what not yet. Only the test build stops at
 * them (fault-point.ts); test/faults makes each of them die, hang and fail.
 */
export const FAULT_POINTS = {
  // The controller's operations: asked for, and answered but not yet seen by anybody.
  'controller.createTarget.before': 'The target pod is about to be created; nothing of it exists.',
  'controller.createTarget.after': 'The target pod exists; its UID is recorded nowhere.',
  'controller.createCheckpoint.before': 'The target waits; there is no PodCheckpoint yet.',
  'controller.createCheckpoint.after': 'The PodCheckpoint exists; the migration does not name it yet.',
  'controller.checkpoint.before': '"May be frozen" is recorded; the source agent is not asked yet.',
  'controller.checkpoint.after': 'The source is frozen and dumped; nothing says so but the source’s disk.',
  'controller.recordCheckpoint.before': 'The checkpoint is complete; its contents are not recorded.',
  'controller.recordCheckpoint.after': 'The contents are recorded; the migration goes on beside it.',
  'controller.restore.before': 'The source is frozen; the target agent is not asked yet.',
  'controller.restore.after': 'The restored processes execute; nothing says so but the target’s disk.',
  'controller.revoke.before': 'The migration rolls back; the target is not asked yet.',
  'controller.revoke.after': 'The claim is decided on the target’s disk; nobody has acted on it.',
  'controller.thaw.before': 'The target is revoked; the source is still frozen.',
  'controller.thaw.after': 'The source runs again; this is recorded nowhere.',
  'controller.deleteTarget.before': 'The source runs again; the target pod is still there.',
  'controller.deleteTarget.after': 'The target pod is being deleted.',
  'controller.deleteSource.before': 'The commit is recorded; the frozen source’s object is untouched.',
  'controller.deleteSource.after': 'The source pod is being deleted; its processes are still frozen.',
  'controller.endSource.before': 'The source pod is being deleted; its agent has not been asked to end it.',
  'controller.endSource.after': 'No process of the source is left; nothing says so yet.',
  'controller.discardSource.before': 'The outcome is certain; the artifacts still lie on the source.',
  'controller.discardSource.after': 'The artifacts are gone from the source.',
  'controller.discardTarget.before': 'The outcome is certain; the stage still lies on the target.',
  'controller.discardTarget.after': 'The stage is gone from the target.',
  'controller.discardCheckpoint.before':
    'The outcome is certain; the checkpoint’s contents are still objects.',
  'controller.discardCheckpoint.after': 'The checkpoint’s contents are gone.',
  'controller.clocks.before': 'Committed; the clocks are not compared yet.',
  'controller.clocks.after': 'The clocks are compared.',
  // What the controller writes about a migration.
  'controller.barrier.after': 'The status is written; what it announces has not begun.',
  'controller.status.before': 'A status is decided and not written.',
  'controller.status.after': 'A status is written; this process has not seen the answer.',
  'controller.addFinalizer.before': 'A migration is accepted; it has no finalizer.',
  'controller.addFinalizer.after': 'The finalizer is there; nothing else is recorded.',
  'controller.removeFinalizer.before': 'The end state is written; the finalizer is still there.',
  'controller.removeFinalizer.after': 'The finalizer is gone.',
  // The agents' calls: heard but not begun, and done but not answered.
  'agent.checkpoint.before': 'The source agent is asked to freeze and has done nothing.',
  'agent.checkpoint.after': 'The checkpoint is complete and not answered.',
  'agent.pullArtifacts.before': 'The target asks the source for the artifacts; none is sent.',
  'agent.pullArtifacts.after': 'All artifacts are sent; the stream has not ended.',
  'agent.restore.before': 'The target agent is asked to restore and has done nothing.',
  'agent.restore.after': 'The restored processes execute; the controller is not answered.',
  'agent.commit.before': 'The target agent is asked to let a held restore go; it is still held.',
  'agent.commit.after': 'The held restore may go; the controller is not answered.',
  'agent.revoke.before': 'The target agent is asked to revoke; the claim is open.',
  'agent.revoke.after': 'The claim is decided; the controller is not answered.',
  'agent.thaw.before': 'The source agent is asked to thaw; the source is frozen.',
  'agent.thaw.after': 'The source runs again; the controller is not answered.',
  'agent.endSource.before': 'The source agent is asked to end the source; it is frozen.',
  'agent.endSource.after': 'Nothing of the source is left; the controller is not answered.',
  'agent.discard.before': 'An agent is asked to remove what it holds; all of it is there.',
  'agent.discard.after': 'All is removed; the controller is not answered.',
} as const satisfies Record<string, string>;

export type FaultPoint = keyof typeof FAULT_POINTS;
