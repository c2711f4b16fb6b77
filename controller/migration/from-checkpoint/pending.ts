/** Pending: the restore is accepted or refused, then its pod is made, or waited for, and prepared by its node. */
import { findCondition, isoTime } from '../../status/conditions.js';
import { REASON } from '../../status/reasons.js';
import type { Draft } from '../draft.js';
import { originOf, restoredName } from '../../../common/pods/restored-name.js';
import {
  AGENT_PATIENCE_MS,
  awaitAgents,
  creating,
  endedEarly,
  mayPass,
  plan,
  refuse,
  targetPrepared,
} from '../pending.js';
import type { Verdict } from '../checks.js';
import type { Findings } from '../facts.js';
import { awaitPod, howToMakePod } from './await-pod.js';
import { savedChecks } from './checks.js';
import type { SavedFacts } from './facts.js';
import { checkpointWords } from './is-restore.js';
import { checkpointedPod, restoredPod } from './saved-pod.js';

const POLL_MS = 100;

export function pending(draft: Draft): void {
  if (draft.has('Accepted')) preparing(draft);
  else judge(draft);
}

function judge(draft: Draft): void {
  const { migration, saved } = draft.observed;
  draft.phase('Pending');
  if (migration.metadata.deletionTimestamp || migration.spec.cancel) return endedEarly(draft);
  if (!saved) return draft.requeue(POLL_MS);
  const verdict = savedChecks(saved);
  const [first] = verdict.refusals;
  if (first && mayPass(draft, verdict.refusals, AGENT_PATIENCE_MS)) return awaitAgents(draft, first);
  if (first) refuse(draft, first, verdict.refusals, saved.binding.bound?.nodeName);
  else accept(draft, saved, verdict);
}

function accept(
  draft: Draft,
  facts: SavedFacts,
  { candidates, warnings }: Findings & Pick<Verdict, 'candidates'>,
): void {
  const { migration } = draft.observed;
  const { targetNode } = migration.spec;
  const bound = facts.binding.bound!;
  const pod = checkpointedPod(bound);
  const taken = takenNames(facts);
  const name =
    migration.spec.restoredPodName ??
    restoredName(pod ? originOf(pod) : bound.podName, (other) => taken.includes(other));
  const what = checkpointWords(migration);
  draft.set({
    observedGeneration: migration.metadata.generation ?? 1,
    startTime: isoTime(draft.now),
    sourcePodUID: bound.podUID,
    sourceNode: bound.nodeName,
    // They run no more, or not for us: the names alone are of use.
    sourceContainers: bound.containers.map(({ spec }) => ({ name: spec.containerName, containerID: '' })),
    podCheckpointName: bound.name,
    podCheckpointUID: bound.uid,
    restoredPodName: name,
    ...(warnings.length > 0 ? { warnings } : {}),
    ...(targetNode ? { targetNode } : {}),
  });
  draft.condition('Accepted', 'True', REASON.Accepted, 'Every check passed.');
  draft.event('migration', 'Normal', 'Accepted', `${what} can be brought back.`);
  for (const warning of warnings) draft.event('migration', 'Warning', 'MayNotice', warning);
  draft.finalizer = 'add';
  draft.barrier();
  if (!pod) {
    const message = howToMakePod(draft);
    draft.condition('TargetPrepared', 'False', REASON.WaitingForPod, message);
    draft.set({ message });
    return draft.again();
  }
  draft.condition('TargetPrepared', 'False', REASON.CreatingPod, `Pod ${name} is being created.`);
  draft.set({
    specChanges: restoredPod(pod, migration, plan(draft, name, candidates), facts.twins).changes,
    message: `Preparing pod ${name}${targetNode ? ` on node ${targetNode}` : ''} for ${what}.`,
  });
  draft.start('createTarget', plan(draft, name, candidates));
}

function preparing(draft: Draft): void {
  const { saved } = draft.observed;
  const { conditions, targetNode } = draft.status;
  const awaited = findCondition(conditions, 'TargetPrepared')?.reason === REASON.WaitingForPod;
  const create = () => {
    if (awaited) return awaitPod(draft);
    const pod = saved?.binding.bound && checkpointedPod(saved.binding.bound);
    creating(draft, {
      candidates: saved ? savedChecks(saved).candidates : [],
      origin: pod && originOf(pod),
      podNames: saved ? takenNames(saved) : [],
    });
  };
  if (!targetPrepared(draft, create)) return;
  draft.phase('MigrationInProgress');
  draft.set({
    message: `Bringing ${checkpointWords(draft.observed.migration)} to node ${draft.status.targetNode ?? targetNode}.`,
  });
  // Before the agent is asked for the first time: without this phase nothing of it has executed.
  draft.barrier();
  draft.start('restore');
}

/** Of pods that are there, and of those that others are about to make. */
function takenNames({ podNames, otherMigrations }: SavedFacts): string[] {
  return [...podNames, ...otherMigrations.flatMap(({ status }) => status?.restoredPodName ?? [])];
}
