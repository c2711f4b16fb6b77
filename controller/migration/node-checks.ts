/** What of the two nodes keeps a pod from being migrated between them. DESIGN section 6. */
import type { Node, Pod } from '../../common/kube/types.js';
import type { ContainerFacts, GetNodeInfoResponse } from '../../proto/gen/lpm/v1/agent.js';
import { refusal, type Findings, type NodeFacts, type Refusal } from './facts.js';
import { ownAffinity } from '../../common/pods/own-affinity.js';
import { allowsNode, untolerated } from './node-affinity.js';
import { similarNames } from './names.js';

/** Room beyond what a dump is expected to write: page maps, descriptors, logs. */
const ROOM_MARGIN_BYTES = 64n * 1024n * 1024n;

export function nodeNotFound(name: string, nodeNames: readonly string[]): Refusal {
  const near = similarNames(name, nodeNames);
  return refusal(
    'NodeNotFound',
    `There is no node ${name}.`,
    near.length > 0
      ? `Did you mean ${near.join(' or ')}?`
      : `Nodes of this cluster: ${[...nodeNames].sort().slice(0, 10).join(', ')}.`,
  );
}

/** What one node must be able to do, as source or as target. */
export function nodeFindings(facts: NodeFacts, role: 'source' | 'target'): Findings {
  const { name, node, agent } = facts;
  const refusals: Refusal[] = [];
  if (node && !isReady(node)) {
    refusals.push(
      refusal(
        'NodeNotReady',
        `Node ${name} is not Ready${readyMessage(node)}.`,
        role === 'target'
          ? 'Choose another node, or look at this one: kubectl describe node ' + name
          : `Look at the node: kubectl describe node ${name}`,
      ),
    );
  }
  if (agent?.failure) {
    // An agent on a node that is not Ready can hardly be expected to answer: one reason is enough.
    if (refusals.length === 0) {
      const { reason, message, hint } = agent.failure;
      const { agentComes } = facts;
      refusals.push(
        agentComes === undefined
          ? { reason, message, hint }
          : { reason, message: `${message} ${agentComes}`, hint, passing: true },
      );
    }
  } else if (agent) {
    const info = agent.value;
    if (!info.criuVersion) {
      refusals.push(
        refusal(
          'CriuMissing',
          `Node ${name} has no usable CRIU${info.criuProblem ? `: ${trimDot(info.criuProblem)}` : ''}.`,
          `Install CRIU 4.1 or newer on ${name} (apt-get install criu iptables).`,
        ),
      );
    }
    if (role === 'target' && info.ociRuntime === 'crun') {
      refusals.push(
        refusal(
          'NotSupportedYet',
          // Seen with crun 1.28: its restore takes "--manage-cgroups-mode ignore" for "soft".
          `The runtime handler of node ${name} calls crun, which cannot restore containers into other cgroups than those of the source.`,
          `Name a runc of node ${name} in /opt/lpm/etc/runtime, or remove that file and let the agent find or bring one; the node's default runtime may stay crun.`,
        ),
      );
    }
    if (role === 'target' && !info.handlerReady) {
      refusals.push(
        refusal(
          'HandlerMissing',
          `The container runtime of node ${name} does not offer the runtime handler lpm${info.handlerProblem ? `: ${trimDot(info.handlerProblem)}` : ''}.`,
          `Look at the agent's log on ${name}; after its first installation the runtime may need a restart (systemctl restart containerd or crio).`,
        ),
      );
    }
  }
  return { refusals, warnings: [] };
}

/** Whether the pod may be bound to the target; where none is `named`, whether the scheduler would choose it. */
export function placementFindings(pod: Pod, target: NodeFacts, named = true): Findings {
  const refusals: Refusal[] = [];
  const warnings: string[] = [];
  const { node, name } = target;
  if (!node || !pod.spec) return { refusals, warnings };
  const noExecute = untolerated(pod.spec, node, 'NoExecute');
  if (noExecute.length > 0) {
    refusals.push(
      refusal(
        'NodeTainted',
        `Node ${name} has the taint ${taintNames(noExecute)} with effect NoExecute, which the pod does not tolerate: it would be evicted at once.`,
        'Choose another node, or give the pod a toleration.',
      ),
    );
  }
  const noSchedule = untolerated(pod.spec, node, 'NoSchedule');
  if (noSchedule.length > 0 && !named) {
    refusals.push(
      refusal(
        'NodeTainted',
        `Node ${name} has the taint ${taintNames(noSchedule)} (NoSchedule), which the pod does not tolerate: the scheduler does not choose it.`,
        'Name the node to place the pod there all the same, or give the pod a toleration.',
      ),
    );
  } else if (noSchedule.length > 0) {
    warnings.push(
      `Node ${name} has the taint ${taintNames(noSchedule)} (NoSchedule), which the pod does not tolerate; it is placed there all the same because that node was asked for.`,
    );
  }
  if (!allowsNode({ ...pod.spec, affinity: ownAffinity(pod) }, node)) {
    refusals.push(
      refusal(
        'Unschedulable',
        `Node ${name} does not match the pod's node selector or node affinity: the kubelet would reject it.`,
        'Choose another node, or label this one.',
      ),
    );
  }
  return { refusals, warnings };
}

/** What of a node its processes depend on. */
export type Abilities = Pick<
  GetNodeInfoResponse,
  'architecture' | 'runtimeName' | 'ociRuntime' | 'cgroupVersion' | 'cpuModel' | 'cpuFlags'
>;

/** Whether what runs on the source can run on the target. */
export function pairFindings(
  source: { name: string; info: Abilities },
  target: { name: string; info: Abilities },
): Refusal[] {
  if (source.name === target.name) return [];
  const differ = (what: string, here: string, there: string, hint = 'Choose another node.') =>
    refusal(
      'NodesDiffer',
      `Node ${source.name} has ${what} ${here}, node ${target.name} has ${there}.`,
      hint,
    );
  const found: Refusal[] = [];
  const [a, b] = [source.info, target.info];
  if (a.architecture !== b.architecture) {
    return [differ('the architecture', a.architecture, b.architecture)];
  }
  if (a.runtimeName !== b.runtimeName)
    found.push(differ('the container runtime', a.runtimeName, b.runtimeName));
  if (a.ociRuntime !== b.ociRuntime) found.push(differ('the OCI runtime', a.ociRuntime, b.ociRuntime));
  if (a.cgroupVersion !== b.cgroupVersion) {
    found.push(differ('cgroup version', String(a.cgroupVersion), String(b.cgroupVersion)));
  }
  const have = new Set(b.cpuFlags);
  const missing = a.cpuFlags.filter((flag) => !have.has(flag));
  if (missing.length > 0) {
    const shown =
      missing.slice(0, 8).join(', ') + (missing.length > 8 ? ` and ${missing.length - 8} more` : '');
    found.push({
      ...refusal(
        'NodesDiffer',
        `The CPU of node ${target.name} lacks what the processes may use since they were started on ${source.name}: ${shown}.`,
        `Choose a node whose CPU has at least the features of ${source.name} (${a.cpuModel}).`,
      ),
      risk: 'a process that does use them dies of it (SIGILL) once it runs there, and its container starts anew from its image.',
    });
  }
  return found;
}

/** Bytes that a dump of these containers writes, roughly, and that both nodes must have room for. */
export function expectedBytes(containers: readonly ContainerFacts[]): bigint {
  return containers.reduce(
    (sum, facts) => sum + facts.memoryBytes + facts.writableLayerBytes + facts.emptyDirBytes,
    0n,
  );
}

export function roomRefusal(name: string, info: GetNodeInfoResponse, bytes: bigint): Refusal | undefined {
  const needed = bytes + ROOM_MARGIN_BYTES;
  if (info.freeBytes >= needed) return undefined;
  return refusal(
    'NoSpace',
    `Node ${name} has ${mebibytes(info.freeBytes)} free for checkpoints, but ${mebibytes(needed)} are needed.`,
    `Free space on ${name} (under /var/lib).`,
  );
}

function mebibytes(bytes: bigint): string {
  return `${bytes / 1024n / 1024n} MiB`;
}

export function isReady(node: Node): boolean {
  return node.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false;
}

function readyMessage(node: Node): string {
  const message = node.status?.conditions?.find(({ type }) => type === 'Ready')?.message;
  return message ? `: ${trimDot(message)}` : '';
}

function taintNames(taints: readonly { key: string; value?: string }[]): string {
  return taints.map(({ key, value }) => (value ? `${key}=${value}` : key)).join(', ');
}

function trimDot(text: string): string {
  return text.replace(/\.$/, '');
}
