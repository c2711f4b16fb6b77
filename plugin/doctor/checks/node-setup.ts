/** What a node must have so that pods move from and to it: the runtime handler, CRIU. */
import { NODE_ANNOTATION, NODE_LABEL, RUNTIME_CLASS } from '../../../common/api/names.js';
import type { Node } from '../../../common/kube/types.js';
import { Check, type Finding } from '../finding.js';

const READY = NODE_LABEL.ready;

export function nodeSetUp(nodes: readonly Node[]): Finding[] {
  return nodes.map(oneNode);
}

function oneNode({ metadata, status }: Node): Finding {
  const { name, labels = {}, annotations = {} } = metadata;
  const check = new Check('node-setup', name);
  const handlers = status?.runtimeHandlers?.map((handler) => handler.name ?? '').filter(Boolean);
  const runtime = status?.nodeInfo?.containerRuntimeVersion ?? 'the container runtime';
  const logs = `kubectl logs -n live-pod-migration-controller-system -l app=checkpoint-agent --prefix --tail=50 # what the agent of ${name} says`;
  const facts = factsOf(labels);
  if (labels[READY] === 'true') {
    if (handlers && !handlers.includes(RUNTIME_CLASS)) {
      return check.fail(
        `The node is set up, but ${runtime} does not offer the handler ${RUNTIME_CLASS} yet; it must be started again.`,
        `systemctl restart ${unitOf(runtime)} # on ${name}; pods run on`,
      );
    }
    return check.ok([runtime, facts].filter(Boolean).join(', '));
  }
  if (labels[READY] !== undefined) {
    const why = annotations[NODE_ANNOTATION.problem] ?? 'its agent does not say why';
    return check.fail(`The node is not set up: ${why}.`.replace(/\.\.$/, '.'), logs);
  }
  if (handlers?.includes(RUNTIME_CLASS)) return check.ok(`${runtime}, handler ${RUNTIME_CLASS}`);
  if (handlers) {
    return check.fail(
      `${runtime} does not offer the handler ${RUNTIME_CLASS} on this node, so no pod can be restored on it.`,
      logs,
    );
  }
  return check.unknown(
    `Neither the controller (label ${READY}) nor the kubelet (status.runtimeHandlers, since Kubernetes 1.30) says whether this node has the handler ${RUNTIME_CLASS}.`,
    logs,
  );
}

const unitOf = (runtime: string): string => (runtime.startsWith('cri-o') ? 'crio' : 'containerd');

/** What the agent has reported of the node, as far as people want to know it. */
function factsOf(labels: Record<string, string>): string {
  const { [NODE_LABEL.ociRuntime]: oci, [NODE_LABEL.criu]: criu } = labels;
  return [oci, criu && `CRIU ${criu}`].filter(Boolean).join(', ');
}
