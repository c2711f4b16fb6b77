/** How far controller and agents have come, node by node. Pure. */
import { NODE_ANNOTATION, NODE_LABEL, RUNTIME_CLASS } from '../../common/api/names.js';
import type { Lease, Node, Pod } from '../../common/kube/types.js';
import { agentOn, isFor } from '../doctor/checks/agents.js';
import { holderOf } from '../doctor/checks/controller.js';
import { podProblem } from '../doctor/checks/pod-problem.js';
import type { DaemonSet, Deployment } from '../doctor/objects.js';

export interface Seen {
  deployment: Deployment | undefined;
  daemonSet: DaemonSet | undefined;
  lease: Lease | undefined;
  nodes: readonly Node[];
  controllers: readonly Pod[];
  agents: readonly Pod[];
}

export interface Rollout {
  /** The controller, and each node that gets an agent: what is said of it, or that it is ready. */
  parts: { key: string; ready: boolean; text: string }[];
  done: boolean;
}

export const CONTROLLER = 'controller';

export function rollout(seen: Seen): Rollout {
  const { daemonSet, nodes } = seen;
  const hosts = daemonSet ? nodes.filter((node) => isFor(daemonSet, node)) : [];
  const parts = [controllerPart(seen), ...hosts.map((node) => agentPart(seen, node))];
  return { parts, done: parts.every(({ ready }) => ready) && isUpToDate(daemonSet, hosts.length) };
}

function controllerPart({ deployment, lease, controllers: all }: Seen): Rollout['parts'][number] {
  const wanted = deployment?.spec?.replicas ?? 1;
  const {
    observedGeneration = 0,
    updatedReplicas = 0,
    availableReplicas = 0,
    replicas = 0,
  } = deployment?.status ?? {};
  const observed = observedGeneration >= (deployment?.metadata.generation ?? 1);
  const ready = observed && updatedReplicas === wanted && replicas === wanted && availableReplicas === wanted;
  const controllers = all.filter(({ metadata }) => !metadata.deletionTimestamp);
  if (ready) {
    const text = `${availableReplicas} of ${wanted} replicas available`;
    const leads = holderOf(lease?.spec?.holderIdentity ?? '', controllers) !== undefined;
    return leads
      ? { key: CONTROLLER, ready, text }
      : { key: CONTROLLER, ready: false, text: `${text}, none leads yet` };
  }
  const why = controllers
    .map((pod) => podProblem(pod, { node: undefined, events: [], log: [] })?.message)
    .find(Boolean);
  const count = `${observed ? Math.min(updatedReplicas, availableReplicas) : 0} of ${wanted} replicas available`;
  return { key: CONTROLLER, ready, text: why ? `${count}. ${why}` : count };
}

function agentPart({ agents, daemonSet }: Seen, node: Node): Rollout['parts'][number] {
  const key = node.metadata.name;
  const pod = agentOn(agents, key);
  if (!pod) return { key, ready: false, text: 'no agent yet' };
  const problem = podProblem(pod, { node, events: [], log: [] });
  if (problem) return { key, ready: false, text: problem.message };
  return isOutdated(pod, daemonSet)
    ? { key, ready: false, text: 'its agent will be replaced' }
    : setUpPart(node);
}

/** An agent that serves sets its node up; the controller writes down how far that is, and the kubelet what the runtime offers. */
function setUpPart({ metadata, status }: Node): Rollout['parts'][number] {
  const { name, labels = {}, annotations = {} } = metadata;
  const label = labels[NODE_LABEL.ready];
  const offered = status?.runtimeHandlers?.some((handler) => handler.name === RUNTIME_CLASS) ?? false;
  if (label === 'true' || (label === undefined && offered)) {
    return { key: name, ready: true, text: 'agent ready, node set up' };
  }
  const why = annotations[NODE_ANNOTATION.problem];
  return { key: name, ready: false, text: `agent ready, the node is not yet set up${why ? `: ${why}` : ''}` };
}

/** A pod of an older template: what it runs differs from what the DaemonSet says now. */
function isOutdated(pod: Pod, daemonSet: DaemonSet | undefined): boolean {
  const template = daemonSet?.spec?.template.spec?.containers[0];
  const container = pod.spec?.containers[0];
  return template?.image !== container?.image || template?.args?.join('\n') !== container?.args?.join('\n');
}

function isUpToDate(daemonSet: DaemonSet | undefined, hosts: number): boolean {
  const { observedGeneration = 0, updatedNumberScheduled = 0, numberReady = 0 } = daemonSet?.status ?? {};
  return (
    daemonSet !== undefined &&
    observedGeneration >= (daemonSet.metadata.generation ?? 1) &&
    updatedNumberScheduled >= hosts &&
    numberReady >= hosts
  );
}
