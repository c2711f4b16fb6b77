/** Why a checkpoint cannot be taken, told before anything is asked of a node. Pure. */
import type { Pod } from '../../common/kube/types.js';
import type { ContainerFacts } from '../../proto/gen/lpm/v1/agent.js';
import type { Failure } from '../agents/failure.js';
import { refusal, refusalOf, type Answer, type NodeFacts, type Refusal } from '../migration/facts.js';
import { similarNames } from '../migration/names.js';
import { expectedBytes, nodeFindings, roomRefusal } from '../migration/node-checks.js';
import { notRunning, processRefusals } from '../migration/pod-checks.js';
import type { Way } from './turn.js';

export interface CheckpointFacts {
  namespace: string;
  podName: string;
  way: Way;
  /** Named by a ContainerCheckpoint. */
  containerName?: string;
  pod: Pod | undefined;
  podNames: string[];
  node?: NodeFacts;
  inspection?: Answer<ContainerFacts[]>;
  /** What the pod is busy with: a migration or another checkpoint that is being taken of it. */
  busyWith?: string;
}

export function checkpointRefusals(facts: CheckpointFacts): Refusal[] {
  const { pod, podName, podNames, containerName, namespace } = facts;
  if (!pod) {
    const near = similarNames(podName, podNames);
    return [
      refusal(
        'PodNotFound',
        `There is no pod ${podName} in namespace ${namespace}.`,
        near.length > 0
          ? `Did you mean ${near.join(' or ')}?`
          : `Look for it: kubectl get pods -n ${namespace}`,
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
  const wanted = names.filter((name) => containerName === undefined || name === containerName);
  const stopped = notRunning(pod, { containers: wanted, done: 'checkpointed', instead: '' });
  if (stopped) return [stopped];
  return [...(containerName === undefined ? setRefusals(pod) : []), ...nodeRefusals(facts, pod, wanted)];
}

/** Of a whole pod nothing may be left out in silence. */
function setRefusals(pod: Pod): Refusal[] {
  const { name } = pod.metadata;
  const list = (containers: readonly { name: string }[]) => containers.map((each) => each.name).join(', ');
  const sidecars = (pod.spec?.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always');
  const ephemeral = pod.spec?.ephemeralContainers ?? [];
  const found: Refusal[] = [];
  if (sidecars.length > 0) {
    found.push(
      refusal(
        'NotSupportedYet',
        `Pod ${name} has sidecar containers (${list(sidecars)}), which are not supported yet.`,
        'Checkpoint its containers one by one with ContainerCheckpoints.',
      ),
    );
  }
  if (ephemeral.length > 0) {
    found.push(
      refusal(
        'PodNotSupported',
        `Pod ${name} has ephemeral containers (${list(ephemeral)}), which cannot be taken along.`,
        'Checkpoint its containers one by one with ContainerCheckpoints.',
      ),
    );
  }
  return found;
}

function nodeRefusals({ node, inspection, way }: CheckpointFacts, pod: Pod, wanted: string[]): Refusal[] {
  const found: Refusal[] = node ? [...nodeFindings(node, 'source').refusals] : [];
  // What the kubelet's runtime can and cannot dump it says itself.
  if (way === 'Kubelet') return found;
  for (const { name, tty } of pod.spec?.containers ?? []) {
    if (!tty || !wanted.includes(name)) continue;
    found.push(refusal('PodNotSupported', `Container ${name} has a terminal (tty: true).`));
  }
  if (inspection?.value) {
    const part = inspection.value.filter(({ name }) => wanted.includes(name));
    const only: Pod = {
      ...pod,
      spec: { ...pod.spec!, containers: pod.spec!.containers.filter(({ name }) => wanted.includes(name)) },
    };
    found.push(...processRefusals(only, part));
    const room = node?.agent?.value && roomRefusal(node.name, node.agent.value, expectedBytes(part));
    if (room) found.push(room);
  } else if (inspection?.failure && node?.agent?.value) {
    found.push(refusalOf(inspection.failure));
  }
  return found;
}

export function asRefusal({ reason, message, hint }: Failure): Refusal {
  return { reason, message, hint };
}
