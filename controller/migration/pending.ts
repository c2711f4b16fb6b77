/** Pending: nothing is frozen. The migration is accepted or refused, then the target pod is made and waited for. */
import { isoTime, findCondition, isTrue } from '../status/conditions.js';
import { REASON } from '../status/reasons.js';
import { failureOf } from '../agents/failure.js';
import { checks, type Verdict } from './checks.js';
import type { Draft } from './draft.js';
import { onlyPassing, type MigrationFacts, type Refusal } from './facts.js';
import { interruption } from './interruption.js';
import { originOf, restoredName } from '../../common/pods/restored-name.js';
import { targetName, targetPlan } from './plan.js';
import { containerId } from './pod-checks.js';
import { targetPod, type TargetPodPlan } from '../../common/pods/target-pod.js';
import { handlersWaiting, targetTrouble, waitingFor } from './target-state.js';

/** How often the target agent is asked whether its handler waits, at first and after a while. */
const POLL_MS = 100;
const SLOW_POLL_MS = 1000;
/** An agent that is being replaced when a migration is asked for is waited for so long. */
export const AGENT_PATIENCE_MS = 120_000;
/** How often it is looked whether an agent is back. */
const AGENT_POLL_MS = 250;

export function pending(draft: Draft): void {
  if (draft.has('Accepted')) preparing(draft);
  else judge(draft);
}

/** Accepts the migration or refuses it. */
function judge(draft: Draft): void {
  const { migration, facts } = draft.observed;
  draft.phase('Pending');
  if (migration.metadata.deletionTimestamp || migration.spec.cancel) return endedEarly(draft);
  if (!facts) {
    draft.requeue(POLL_MS);
    return;
  }
  const verdict = checks(facts);
  const [first] = verdict.refusals;
  if (first && mayPass(draft, verdict.refusals, AGENT_PATIENCE_MS)) return awaitAgents(draft, first);
  if (first) refuse(draft, first, verdict.refusals, facts.pod?.spec?.nodeName);
  else if (verdict.waitsFor) {
    draft.set({ message: `Waits until migration ${verdict.waitsFor} of the same pod has given way.` });
    draft.requeue(POLL_MS);
  } else accept(draft, facts, verdict);
}

/** Nothing speaks against it but that an agent is just being replaced, and it is not waited for long. */
export function mayPass(
  { now, observed: { migration } }: Draft,
  refusals: readonly Refusal[],
  patienceMs: number,
): boolean {
  return onlyPassing(refusals) && now - Date.parse(migration.metadata.creationTimestamp ?? '') < patienceMs;
}

export function awaitAgents(draft: Draft, { message }: Refusal): void {
  draft.set({ message: `Waits for an agent that is just being replaced. ${message}` });
  draft.requeue(SLOW_POLL_MS);
}

export function endedEarly(draft: Draft): void {
  const { metadata } = draft.observed.migration;
  const what = metadata.deletionTimestamp ? 'deleted' : 'canceled';
  const message = `Migration ${metadata.name} was ${what} before it began.`;
  draft.phase('Failed');
  draft.condition('Failed', 'True', 'Canceled', message);
  draft.set({ reason: 'Canceled', message, completionTime: isoTime(draft.now) });
  draft.finalizer = 'remove';
}

export function refuse(draft: Draft, first: Refusal, all: Refusal[], sourceNode: string | undefined): void {
  const others = all.length - 1;
  const more =
    others > 0
      ? ` ${others === 1 ? 'One more reason stands' : `${others} more reasons stand`} in the condition Accepted.`
      : '';
  const everything = all.map(({ message }) => message).join(' ');
  draft.phase('Failed');
  draft.condition('Accepted', 'False', first.reason, everything);
  draft.condition('Failed', 'True', first.reason, everything);
  draft.set({
    reason: first.reason,
    message: `${first.message}${more}`,
    ...(first.hint ? { hint: first.hint } : {}),
    observedGeneration: draft.observed.migration.metadata.generation ?? 1,
    completionTime: isoTime(draft.now),
    ...(sourceNode ? { sourceNode } : {}),
    ...(draft.observed.migration.spec.targetNode
      ? { targetNode: draft.observed.migration.spec.targetNode }
      : {}),
  });
  draft.event('migration', 'Warning', first.reason, first.message);
  draft.finalizer = 'remove';
}

function accept(draft: Draft, facts: MigrationFacts, verdict: Verdict): void {
  const { migration } = draft.observed;
  const pod = facts.pod!;
  const name = targetName(facts, pod);
  const { changes } = targetPod(pod, migration, plan(draft, name, verdict.candidates));
  draft.set({
    observedGeneration: migration.metadata.generation ?? 1,
    startTime: isoTime(draft.now),
    sourcePodUID: pod.metadata.uid!,
    sourceNode: pod.spec!.nodeName!,
    sourceContainers: pod.spec!.containers.map((container) => ({
      name: container.name,
      containerID: containerId(pod, container.name) ?? '',
    })),
    restoredPodName: name,
    specChanges: changes,
    ...(verdict.warnings.length > 0 ? { warnings: verdict.warnings } : {}),
    ...(migration.spec.targetNode ? { targetNode: migration.spec.targetNode } : {}),
    message: `Preparing pod ${name}${migration.spec.targetNode ? ` on node ${migration.spec.targetNode}` : ''}; the source runs on meanwhile.`,
  });
  acceptedCondition(draft, verdict);
  draft.condition('TargetPrepared', 'False', REASON.CreatingPod, `Pod ${name} is being created.`);
  draft.event('migration', 'Normal', 'Accepted', `Pod ${pod.metadata.name} can be migrated.`);
  for (const warning of verdict.warnings) {
    const overridden = verdict.overridden.some((message) => warning.startsWith(message));
    draft.event('migration', 'Warning', overridden ? 'Overridden' : 'MayNotice', warning);
  }
  draft.finalizer = 'add';
  draft.barrier();
  draft.start('createTarget', plan(draft, name, verdict.candidates));
}

/** Says what was overridden, for whoever looks for the cause later. */
export function acceptedCondition(draft: Draft, { overridden }: Pick<Verdict, 'overridden'>): void {
  if (overridden.length === 0) draft.condition('Accepted', 'True', REASON.Accepted, 'Every check passed.');
  else {
    const message = `Every check passed but for what spec.force overrides: ${overridden.join(' ')}`;
    draft.condition('Accepted', 'True', REASON.Forced, message);
  }
}

export function plan({ observed }: Draft, name: string, candidates: string[]): TargetPodPlan {
  return targetPlan(observed.migration, name, candidates);
}

function preparing(draft: Draft): void {
  const { observed, status } = draft;
  const made = (): Making => {
    const { facts, source } = observed;
    return {
      candidates: facts ? checks(facts).candidates : [],
      origin: source.pod && originOf(source.pod),
      podNames: facts?.podNames ?? [],
    };
  };
  if (!targetPrepared(draft, () => creating(draft, made()))) return;
  // Looked at last of all, when it is known that the target is prepared.
  if (!isTrue(observed.migration.status?.conditions, 'TargetPrepared')) return draft.again();
  if (observed.awaitedAgent !== undefined) return awaitAgent(draft, observed.awaitedAgent);
  draft.phase('CheckpointInProgress');
  draft.set({
    message: `Checkpointing pod ${observed.migration.spec.podName} on node ${status.sourceNode}.`,
  });
  draft.barrier();
  draft.start('createCheckpoint');
}

/** A pod that is frozen needs both agents to the end: who is just being replaced is waited for while the source runs. */
function awaitAgent(draft: Draft, node: string): void {
  draft.set({
    message: `Waits for the agent on node ${node}, which is being replaced or does not answer; the source runs on meanwhile.`,
  });
  draft.requeue(AGENT_POLL_MS);
}

/**
 * The target pod is made (`create`), and its node prepares it up to the first container, where the handler waits: true when
 * it does.
 */
export function targetPrepared(draft: Draft, create: () => void): boolean {
  preparingTarget(draft, create);
  return draft.has('TargetPrepared');
}

function preparingTarget(draft: Draft, create: () => void): void {
  const { observed, operations, status } = draft;
  const interrupted = interruption(observed);
  if (interrupted) return draft.rollBack(interrupted);

  const { createTarget } = operations;
  if (createTarget.state === 'done' && status.restoredPodUID === undefined) {
    const { uid, differences, changes } = createTarget.value;
    draft.set({ restoredPodUID: uid, specChanges: changes });
    draft.barrier();
    if (differences.length > 0) {
      return draft.rollBack(
        failureOf(
          'TargetPodChanged',
          `Pod ${status.restoredPodName} was changed while it was created: ${differences.slice(0, 5).join('; ')}.`,
          'An admission webhook or policy of the cluster did that: exempt pods with the annotation lpm.my.domain/migration from it.',
        ),
      );
    }
    return draft.again();
  }
  if (draft.status.restoredPodUID === undefined) return create();

  const { pod, state, warning } = observed.target;
  if (!pod) return draft.requeue(POLL_MS);
  const trouble = targetTrouble(pod, warning);
  if (trouble) return draft.rollBack(trouble);
  const node = pod.spec?.nodeName;
  if (!node) {
    const scheduled = pod.status?.conditions?.find(({ type }) => type === 'PodScheduled');
    const message = `Pod ${pod.metadata.name} waits for a node${scheduled?.message ? `: ${scheduled.message}` : '.'}`;
    draft.condition('TargetPrepared', 'False', REASON.WaitingForNode, message);
    draft.set({ message });
    return draft.requeue(SLOW_POLL_MS);
  }
  if (status.targetNode !== node) draft.set({ targetNode: node });

  const names = (status.sourceContainers ?? []).map(({ name }) => name);
  if (!state?.value || !handlersWaiting(state.value, names)) {
    const message = waitingFor(pod, state, warning);
    draft.condition('TargetPrepared', 'False', REASON.WaitingForHandler, message);
    draft.set({ message });
    const since =
      Date.parse(findCondition(draft.status.conditions, 'Accepted')?.lastTransitionTime ?? '') || 0;
    return draft.requeue(draft.now - since > 5000 ? SLOW_POLL_MS : POLL_MS);
  }
  draft.condition(
    'TargetPrepared',
    'True',
    REASON.HandlersWaiting,
    `Node ${node} waits for the state of the pod.`,
  );
  draft.event(
    'migration',
    'Normal',
    'TargetPrepared',
    `Pod ${pod.metadata.name} on node ${node} waits for its state.`,
  );
}

/** What the target pod is made from. After a restart of the controller it is collected again. */
export interface Making {
  candidates: string[];
  /** Undefined: there is nothing to make it from any more. */
  origin: string | undefined;
  podNames: readonly string[];
}

export function creating(draft: Draft, { candidates, origin, podNames }: Making): void {
  const { observed, operations, status } = draft;
  const { createTarget } = operations;
  const name = status.restoredPodName!;
  switch (createTarget.state) {
    case 'none':
      // After a restart of the controller: the name stands.
      return draft.start('createTarget', plan(draft, name, candidates));
    case 'running':
    case 'done':
      return;
    case 'failed': {
      const { failure, attempts } = createTarget;
      if (failure.reason === 'NameTaken' && !observed.migration.spec.restoredPodName && origin) {
        const taken = new Set([name, ...podNames]);
        const next = restoredName(origin, (other) => taken.has(other));
        draft.set({ restoredPodName: next });
        draft.barrier();
        return draft.start('createTarget', plan(draft, next, candidates));
      }
      if (!failure.retryable || attempts >= 5) return draft.rollBack(failure);
      draft.ensure('createTarget');
      return;
    }
    default:
      createTarget satisfies never;
  }
}
