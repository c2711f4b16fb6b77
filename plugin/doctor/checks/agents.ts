/** The agent of each node: whether it serves, why not, and whether it is of the right version. */
import { SYSTEM_NAMESPACE } from '../../../common/api/names.js';
import type { Node, Pod } from '../../../common/kube/types.js';
import { Check, type Finding } from '../finding.js';
import { DAEMON_SET, type DaemonSet } from '../objects.js';
import type { Observed } from '../observed.js';
import { podProblem } from './pod-problem.js';
import { INSTALL } from './words.js';

export function agents(observed: Observed, nodes: readonly Node[]): Finding[] {
  const check = new Check('agent');
  const { daemonSet, agents: pods } = observed;
  if ('hidden' in pods) return [check.unknown(pods.hidden)];
  if ('seen' in daemonSet && !daemonSet.seen) {
    return [check.fail(`There is no DaemonSet ${DAEMON_SET}, so no node has an agent.`, INSTALL)];
  }
  const set = 'seen' in daemonSet ? daemonSet.seen : undefined;
  return nodes.flatMap((node) => {
    const here = check.on(node.metadata.name);
    if (set && !isFor(set, node)) {
      return [here.ok('none: the DaemonSet does not select this node, so no pod is moved from or to it')];
    }
    return onNode(observed, node, agentOn(pods.seen, node.metadata.name));
  });
}

function onNode(observed: Observed, node: Node, pod: Pod | undefined): Finding[] {
  const { events, logs } = observed;
  const name = node.metadata.name;
  const check = new Check('agent', name);
  if (!isReady(node)) {
    return [
      check.fail(
        `The node is not ready: ${ready(node)?.message ?? 'its kubelet says nothing'}.`.replace(/\.\.$/, '.'),
        `kubectl describe node ${name}`,
      ),
    ];
  }
  if (!pod) {
    return [
      check.fail(
        `There is no agent on ${name}.`,
        `kubectl describe daemonset -n ${SYSTEM_NAMESPACE} ${DAEMON_SET}`,
      ),
    ];
  }
  const problem = podProblem(pod, {
    node,
    events: 'seen' in events ? events.seen : [],
    log: logs.get(pod.metadata.uid ?? '') ?? [],
  });
  if (problem) return [check.fail(problem.message, ...problem.commands)];
  return [version(observed, check, pod)];
}

/** An agent that serves: the controller's version is the right one, for they speak to each other. */
function version({ metrics, controllers, plugin }: Observed, check: Check, pod: Pod): Finding {
  const told = metrics.get(pod.metadata.uid ?? '');
  const name = pod.metadata.name;
  if (told === undefined || 'hidden' in told) {
    return check.unknown(`Ready; its version: ${told?.hidden ?? 'it was not asked.'}`);
  }
  const ours = told.seen.version;
  if (ours === undefined) {
    return check.fail(`Its pod ${name} runs a version that is too old to say which.`, ...restart(pod));
  }
  const wanted = versionOf(controllers, metrics) ?? (plugin.version === 'dev' ? ours : plugin.version);
  if (ours === wanted) return check.ok(`ready, version ${ours}`);
  return check.fail(
    `Its pod ${name} has version ${ours}, the controller ${wanted}: the image on the node may be an older one under the same name.`,
    ...restart(pod),
  );
}

const restart = ({ metadata, spec }: Pod): string[] => [
  `kubectl delete pod -n ${SYSTEM_NAMESPACE} ${metadata.name} # after the new image ${spec?.containers[0]?.image ?? ''} is on the node`,
];

function versionOf(controllers: Observed['controllers'], metrics: Observed['metrics']): string | undefined {
  if ('hidden' in controllers) return undefined;
  for (const { metadata } of controllers.seen) {
    const told = metrics.get(metadata.uid ?? '');
    if (told && 'seen' in told && told.seen.version !== undefined) return told.seen.version;
  }
  return undefined;
}

/** Whether a DaemonSet has a pod on a node, as far as its node selector goes; it tolerates everything. */
export function isFor({ spec }: DaemonSet, { metadata }: Node): boolean {
  const selector = spec?.template.spec?.nodeSelector ?? {};
  return Object.entries(selector).every(([key, value]) => metadata.labels?.[key] === value);
}

/** Before it is placed, the pod of a DaemonSet says by its affinity which node it is for. */
function nodeOf({ spec }: Pod): string | undefined {
  if (spec?.nodeName) return spec.nodeName;
  const terms =
    spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [];
  return terms.flatMap(({ matchFields = [] }) => matchFields).find(({ key }) => key === 'metadata.name')
    ?.values?.[0];
}

/** The agent of a node. During an update the old one is still there. */
export const agentOn = (agents: readonly Pod[], node: string): Pod | undefined =>
  newest(agents.filter((pod) => nodeOf(pod) === node));

function newest(pods: readonly Pod[]): Pod | undefined {
  const time = ({ metadata }: Pod) => metadata.creationTimestamp ?? '';
  const alive = pods.filter(({ metadata }) => !metadata.deletionTimestamp);
  return [...(alive.length > 0 ? alive : pods)].sort((a, b) => (time(a) < time(b) ? 1 : -1))[0];
}

const ready = ({ status }: Node) => status?.conditions?.find(({ type }) => type === 'Ready');
const isReady = (node: Node): boolean => ready(node)?.status === 'True';
