/** Migrations that are stuck, as the controller writes them, for tests. */
import { howToResolve, type Side } from '../common/api/resolution.js';
import type { Condition, PodMigration } from '../common/api/schema.js';

export type Status = NonNullable<PodMigration['status']>;

export const STUCK_SINCE = '2026-11-23T16:00:05Z';

export const condition = (
  type: string,
  status: 'True' | 'False',
  reason: string,
  message = '',
): Condition => ({ type, status, reason, message, lastTransitionTime: STUCK_SINCE });

const meta = { name: 'counter-x7k2p', namespace: 'shop' };

function stuck(
  what: string,
  hint: string,
  sides: { [S in Side]?: string },
  more: Condition[],
  reason = 'AgentNotReachable',
): Status {
  const offer = Object.keys(sides).length > 0 ? howToResolve(meta, sides) : '';
  return {
    phase: 'RestoreInProgress',
    message: what,
    sourceNode: 'k8s-worker',
    targetNode: 'k8s-master',
    restoredPodName: 'counter-restored',
    phaseTransitions: [{ phase: 'RestoreInProgress', transitionTime: '2026-11-23T16:00:00.000Z' }],
    conditions: [...more, condition('Stuck', 'True', reason, [what, hint, offer].filter(Boolean).join(' '))],
  };
}

export function migrationWith(status: Status, spec: Partial<PodMigration['spec']> = {}): PodMigration {
  return {
    apiVersion: 'lpm.my.domain/v1',
    kind: 'PodMigration',
    metadata: { ...meta, creationTimestamp: '2026-11-23T16:00:00Z' },
    spec: { podName: 'counter', targetNode: 'k8s-master', ...spec },
    status,
  };
}

const checkpointed = condition('Checkpointed', 'True', 'CheckpointCompleted');
const rollingBack = condition('RollingBack', 'True', 'TimedOut', 'The migration was not done within 10 s.');

export const TRIED =
  'Revoking the restore on node k8s-master does not succeed: The agent of node k8s-master did not answer. It is tried again and again.';
export const CHECK = 'Is the node up? kubectl get node k8s-master.';

/** The target's node does not say whether it executes: both can be kept. */
export const targetSilent = stuck(
  TRIED,
  CHECK,
  {
    Source: 'no process of the pod can run on node k8s-master any more (it is switched off for good)',
    Target: 'pod counter-restored runs there',
  },
  [checkpointed, rollingBack],
);

/** The target has confirmed that nothing executes; the source's node does not thaw. */
export const thawFails = stuck(
  'Thawing pod counter on node k8s-worker does not succeed: The agent of node k8s-worker did not answer. It is tried again and again.',
  '',
  { Source: 'that node will not come back' },
  [checkpointed, rollingBack],
);

/** The restored processes execute; the source's node does not say that it has ended it. */
export const sourceSilent = stuck(
  'Ending pod counter on node k8s-worker does not succeed: The agent of node k8s-worker did not answer. It is tried again and again.',
  '',
  { Target: 'node k8s-worker will not come back' },
  [checkpointed, condition('Committed', 'True', 'Committed')],
);

/** The source has no process any more, but its kubelet does not confirm the deletion of its object. */
export const sourceRemains = stuck(
  'Ending the source does not succeed: Pod counter has no process any more, but its object is still there. It is tried again and again.',
  'Does the kubelet of node k8s-worker work? kubectl describe pod counter -n shop.',
  { Target: 'the kubelet of node k8s-worker will not confirm its deletion any more' },
  [checkpointed, condition('Committed', 'True', 'Committed')],
  'SourceRemains',
);

/** No decision helps. */
export const deletionRefused = stuck(
  'Deleting pod counter does not succeed: pods "counter" is forbidden. It is tried again and again.',
  '',
  {},
  [checkpointed, condition('Committed', 'True', 'Committed')],
);
