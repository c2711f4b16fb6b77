/**
 * A user's own checkpoint (PodCheckpoint or ContainerCheckpoint without an owner): the pod runs on afterwards. Pure. Thin so
 * far: pods of one container.
 */
import type { CheckpointPhase, Condition } from '../../common/api/schema.js';
import type { Pod } from '../../common/kube/types.js';
import type { CheckpointResult, ContainerFacts, GetNodeInfoResponse } from '../../proto/gen/lpm/v1/agent.js';
import type { Failure } from '../agents/failure.js';
import { refusal, type Answer, type NodeFacts, type Refusal } from '../migration/facts.js';
import { similarNames } from '../migration/names.js';
import { expectedBytes, nodeFindings, roomRefusal } from '../migration/node-checks.js';
import type { Operation } from '../migration/observed.js';
import { containerListRefusals, inspectionFindings, notRunning } from '../migration/pod-checks.js';

export interface CheckpointFacts {
  namespace: string;
  podName: string;
  /** Named by a ContainerCheckpoint. */
  containerName?: string;
  pod: Pod | undefined;
  podNames: string[];
  node?: NodeFacts & { agent?: Answer<GetNodeInfoResponse> };
  inspection?: Answer<ContainerFacts[]>;
  /** What the pod is busy with: a migration or another checkpoint that is being taken of it. */
  busyWith?: string;
}

export interface CheckpointObserved {
  now: number;
  phase: CheckpointPhase | undefined;
  conditions: Condition[] | undefined;
  /** Collected in phase Pending. */
  facts?: CheckpointFacts;
  operation: Operation<CheckpointResult>;
}

export type CheckpointDecision =
  | { do: 'fail'; refusal: Refusal }
  | { do: 'wait'; message: string; afterMs: number }
  /** Record that it runs, then ask the agent. */
  | { do: 'begin' }
  /** Ask the agent, for the first time in this process or again; it does it once. */
  | { do: 'checkpoint' }
  | { do: 'succeed'; result: CheckpointResult }
  | { do: 'nothing' };

/** A lost connection is taken up again for so long: the pod runs on in any case. */
const REJOIN_MS = 120_000;

export function decideCheckpoint(observed: CheckpointObserved): CheckpointDecision {
  const phase = observed.phase ?? 'Pending';
  switch (phase) {
    case 'Pending':
      return pending(observed);
    case 'Running':
      return running(observed);
    case 'Succeeded':
    case 'Failed':
      return { do: 'nothing' };
    default:
      return phase satisfies never;
  }
}

function pending({ facts }: CheckpointObserved): CheckpointDecision {
  if (!facts) return { do: 'wait', message: 'Looking at the pod.', afterMs: 100 };
  const [first] = checkpointRefusals(facts);
  if (first) return { do: 'fail', refusal: first };
  if (facts.busyWith) return { do: 'wait', message: `Waits for ${facts.busyWith}.`, afterMs: 1000 };
  return { do: 'begin' };
}

function running({ operation, now }: CheckpointObserved): CheckpointDecision {
  switch (operation.state) {
    case 'none':
      return { do: 'checkpoint' };
    case 'running':
      return { do: 'nothing' };
    case 'done':
      return { do: 'succeed', result: operation.value };
    case 'failed': {
      const { failure, at, firstAt, attempts } = operation;
      if (!failure.retryable || now - firstAt > REJOIN_MS) return { do: 'fail', refusal: asRefusal(failure) };
      const wait = at + Math.min(10_000, 200 * 2 ** attempts) - now;
      return wait > 0 ? { do: 'wait', message: failure.message, afterMs: wait } : { do: 'checkpoint' };
    }
    default:
      return operation satisfies never;
  }
}

export function checkpointRefusals(facts: CheckpointFacts): Refusal[] {
  const { pod, podName, podNames, containerName, node, inspection, namespace } = facts;
  if (!pod) {
    const near = similarNames(podName, podNames);
    return [
      refusal(
        'PodNotFound',
        `There is no pod ${podName} in namespace ${namespace}.`,
        near.length > 0 ? `Did you mean ${near.join(' or ')}?` : '',
      ),
    ];
  }
  const names = pod.spec?.containers.map(({ name }) => name) ?? [];
  if (containerName !== undefined && !names.includes(containerName)) {
    return [
      refusal(
        'ContainerNotFound',
        `Pod ${podName} has no container ${containerName}.`,
        `Its containers: ${names.join(', ')}.`,
      ),
    ];
  }
  const stopped = notRunning(pod);
  if (stopped) return [stopped];
  const found = containerListRefusals(pod);
  for (const container of pod.spec?.containers ?? []) {
    if (container.tty)
      found.push(refusal('PodNotSupported', `Container ${container.name} has a terminal (tty: true).`));
  }
  if (node) found.push(...nodeFindings(node, 'source').refusals);
  if (inspection?.value) {
    found.push(...inspectionFindings(pod, inspection.value, 'Close').refusals);
    const room =
      node?.agent?.value && roomRefusal(node.name, node.agent.value, expectedBytes(inspection.value));
    if (room) found.push(room);
  } else if (inspection?.failure && node?.agent?.value) {
    found.push(asRefusal(inspection.failure));
  }
  return found;
}

function asRefusal({ reason, message, hint }: Failure): Refusal {
  return { reason, message, hint };
}
