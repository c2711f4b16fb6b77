/** What of a pod keeps it from being migrated. DESIGN section 6. */
import { RUNTIME_CLASS } from '../../common/api/names.js';
import type { PodMigration } from '../../common/api/schema.js';
import type { Pod } from '../../common/kube/types.js';
import type { ContainerFacts } from '../../proto/gen/lpm/v1/agent.js';
import { probePatienceSeconds } from './probe-patience.js';
import { check, refusal, type Check, type Findings, type Refusal } from './facts.js';
import { hostPathWarnings, volumeRefusals } from './volume-checks.js';

/** A source may be frozen so long: what would end it in less time is refused. */
export const EXPECTED_DOWNTIME_SECONDS = 10;
/** A second less is what spec.force leaves for freeze, dump, transfer and restore: the least with which anything is moved. */
const LEAST_DOWNTIME_SECONDS = 3;

type PodSpec = NonNullable<Pod['spec']>;
type Container = PodSpec['containers'][number];

const ORDINARY_RESOURCES = new Set(['cpu', 'memory', 'ephemeral-storage']);

/** What is wanted of a pod, for the sentences. */
interface Wanted {
  /** Names of the containers that must run; default: all of the pod. */
  containers?: readonly string[];
  /** `migrated` */
  done: string;
  /** What to do when the pod is being deleted. */
  instead: string;
}

/** The pod must run before anything else about it matters. */
export function notRunning(
  pod: Pod,
  { containers, done, instead }: Wanted = { done: 'migrated', instead: 'Migrate another pod.' },
): Refusal | undefined {
  const { name, namespace } = pod.metadata;
  if (pod.metadata.deletionTimestamp) {
    return refusal('PodNotRunning', `Pod ${name} is being deleted.`, instead);
  }
  const phase = pod.status?.phase ?? 'Unknown';
  if (phase !== 'Running') {
    return refusal(
      'PodNotRunning',
      `Pod ${name} is ${phase}, not Running${pod.status?.message ? `: ${pod.status.message}` : ''}.`,
      phase === 'Pending'
        ? `Wait until it runs: kubectl wait -n ${namespace} --for=condition=Ready pod/${name}`
        : `Only a running pod can be ${done}.`,
    );
  }
  for (const container of containers ?? pod.spec?.containers.map((each) => each.name) ?? []) {
    const status = pod.status?.containerStatuses?.find((other) => other.name === container);
    if (status?.state?.running && status.containerID) continue;
    const why = status?.state?.waiting?.reason ?? status?.state?.terminated?.reason;
    return refusal(
      'PodNotRunning',
      `Container ${container} of pod ${name} does not run${why ? ` (${why})` : ''}.`,
      `Look at it: kubectl describe -n ${namespace} pod/${name}`,
    );
  }
  return undefined;
}

/** Everything that the pod's own object tells. */
export function podChecks(pod: Pod, { allowHostPath }: PodMigration['spec']): Check[] {
  const spec = pod.spec as PodSpec;
  const { volumes = [] } = spec;
  return [
    check('Owner', 'Nobody would make the pod anew.', { refusals: ownerRefusals(pod) }),
    check('Containers', 'Its containers can be restored.', {
      refusals: [...containerListRefusals(pod), ...spec.containers.flatMap(containerRefusals)],
    }),
    check('Sandbox', 'It has its own namespaces and no devices.', { refusals: sandboxRefusals(pod) }),
    check('Volumes', volumes.length === 0 ? 'It has no volumes.' : 'All of them arrive.', {
      refusals: volumeRefusals(volumes, { allowHostPath: allowHostPath === true }),
      warnings: allowHostPath ? hostPathWarnings(volumes) : [],
    }),
    check('LivenessProbes', 'None would end the pod while it is frozen.', {
      refusals: spec.containers.flatMap((container) => probeRefusal(container) ?? []),
    }),
    check('Readiness', 'The pod is as ready as it will be.', {
      warnings: [...readinessWarnings(pod), ...carriedStateWarnings(pod)],
    }),
  ];
}

/** What of a pod's spec cannot be restored, wherever its state comes from. */
export function restoredPodRefusals(pod: Pod): Refusal[] {
  const spec = pod.spec as PodSpec;
  return [
    ...containerListRefusals(pod),
    ...sandboxRefusals(pod),
    ...volumeRefusals(spec.volumes ?? []),
    ...spec.containers.flatMap(containerRefusals),
  ];
}

function ownerRefusals(pod: Pod): Refusal[] {
  const { name, annotations, ownerReferences = [] } = pod.metadata;
  if (annotations?.['kubernetes.io/config.mirror'] || ownerReferences.some(({ kind }) => kind === 'Node')) {
    return [
      refusal(
        'PodNotSupported',
        `Pod ${name} is a static pod: its node's kubelet makes it from a file and would make it again.`,
        'Move its manifest file to the other node instead.',
      ),
    ];
  }
  const [owner] = ownerReferences;
  if (!owner) return [];
  if (owner.kind === 'DaemonSet') {
    return [
      refusal(
        'PodNotSupported',
        `Pod ${name} belongs to DaemonSet ${owner.name}, which has one pod on each node.`,
        'Pods of a DaemonSet have nowhere to go.',
      ),
    ];
  }
  return [
    refusal(
      'NotSupportedYet',
      `Pod ${name} belongs to ${owner.kind} ${owner.name}; pods with an owner are not supported yet.`,
      'Migrate a pod without an owner.',
    ),
  ];
}

export function containerListRefusals(pod: Pod): Refusal[] {
  const spec = pod.spec as PodSpec;
  const { name } = pod.metadata;
  const found: Refusal[] = [];
  const sidecars = (spec.initContainers ?? []).filter((container) => container.restartPolicy === 'Always');
  if (sidecars.length > 0) {
    found.push(
      refusal(
        'NotSupportedYet',
        `Pod ${name} has sidecar containers (${names(sidecars)}), which are not supported yet.`,
        'So far only pods without sidecar containers can be migrated or brought back.',
      ),
    );
  }
  if (spec.ephemeralContainers?.length) {
    found.push(
      refusal(
        'PodNotSupported',
        `Pod ${name} has ephemeral containers (${names(spec.ephemeralContainers)}), which cannot be taken along.`,
        'A pod keeps its ephemeral containers until it ends: migrate one that was not debugged in this way.',
      ),
    );
  }
  return found;
}

function sandboxRefusals(pod: Pod): Refusal[] {
  const spec = pod.spec as PodSpec;
  const { name } = pod.metadata;
  const unsupported = (what: string) =>
    refusal('PodNotSupported', `Pod ${name} ${what}, which a checkpoint cannot carry to another node.`);
  const found: Refusal[] = [];
  if (spec.hostNetwork) found.push(unsupported('uses the network of its host (hostNetwork)'));
  if (spec.hostPID) found.push(unsupported('uses the process IDs of its host (hostPID)'));
  if (spec.hostIPC) found.push(unsupported('uses the IPC namespace of its host (hostIPC)'));
  if (spec.hostUsers === false) found.push(unsupported('runs in a user namespace (hostUsers: false)'));
  if (spec.os?.name === 'windows') found.push(unsupported('runs Windows'));
  if (spec.resourceClaims?.length) found.push(unsupported('holds resource claims (devices)'));
  if (spec.shareProcessNamespace) {
    found.push(
      refusal('NotSupportedYet', `Pod ${name} has shareProcessNamespace, which is not supported yet.`),
    );
  }
  if (spec.runtimeClassName && spec.runtimeClassName !== RUNTIME_CLASS) {
    found.push(
      refusal(
        'PodNotSupported',
        `Pod ${name} runs with runtime class ${spec.runtimeClassName}; only the cluster's default and ${RUNTIME_CLASS} can be restored.`,
      ),
    );
  }
  return found;
}

function containerRefusals(container: Container): Refusal[] {
  const { name } = container;
  const found: Refusal[] = [];
  if (container.tty) {
    found.push(
      refusal(
        'PodNotSupported',
        `Container ${name} has a terminal (tty: true), which cannot be restored.`,
        'Run it without tty.',
      ),
    );
  }
  if (container.volumeDevices?.length) {
    found.push(refusal('PodNotSupported', `Container ${name} uses block devices (volumeDevices).`));
  }
  for (const resource of Object.keys(container.resources?.limits ?? {})) {
    if (ORDINARY_RESOURCES.has(resource)) continue;
    found.push(
      refusal(
        'PodNotSupported',
        `Container ${name} holds ${resource}: a checkpoint cannot carry ${resource.startsWith('hugepages-') ? 'huge pages' : 'the state of a device'}.`,
      ),
    );
  }
  return found;
}

function probeRefusal(container: Container): Refusal | undefined {
  const tolerated = probePatienceSeconds(container, true);
  if (tolerated >= EXPECTED_DOWNTIME_SECONDS) return undefined;
  const refused = refusal(
    'PodNotSupported',
    `The liveness probe of container ${container.name} gives up after ${tolerated} s: the kubelet would kill the container while it is frozen.`,
    `Let periodSeconds × (failureThreshold − 1) + timeoutSeconds be at least ${EXPECTED_DOWNTIME_SECONDS}.`,
  );
  if (tolerated < LEAST_DOWNTIME_SECONDS) return refused;
  return {
    ...refused,
    risk: `what takes longer than ${tolerated - 1} s is rolled back; were that too late, the kubelet would start the container anew from its image.`,
  };
}

function readinessWarnings(pod: Pod): string[] {
  const waiting = (pod.status?.containerStatuses ?? []).filter((status) => status.ready === false);
  return waiting.length > 0
    ? [`Container ${names(waiting)} was not Ready before the migration and may not be afterwards.`]
    : [];
}

export function carriedStateWarnings(pod: Pod): string[] {
  const spec = pod.spec as PodSpec;
  return spec.activeDeadlineSeconds
    ? ['activeDeadlineSeconds counts from the start of the restored pod again.']
    : [];
}

/** What the source agent has found in the running containers. */
export function processRefusals(pod: Pod, containers: readonly ContainerFacts[]): Refusal[] {
  const refusals: Refusal[] = [];
  for (const { name } of pod.spec?.containers ?? []) {
    const facts = containers.find((other) => other.name === name);
    const id = containerId(pod, name);
    if (!facts || facts.containerId !== id) {
      refusals.push(
        refusal(
          'PodNotRunning',
          `Container ${name} of pod ${pod.metadata.name} is restarting: the node does not have it as the API server says.`,
          'Try again when it is steady.',
        ),
      );
      continue;
    }
    if (facts.terminal) {
      refusals.push(
        refusal('PodNotSupported', `Container ${name} has a terminal (tty), which cannot be restored.`),
      );
    }
    if (facts.usesIoUring) {
      refusals.push(
        refusal(
          'IoUringInUse',
          `A process of container ${name} uses io_uring, which CRIU cannot dump.`,
          'Turn io_uring off in the program (for Node.js: UV_USE_IO_URING=0) or forbid it with a seccomp profile.',
        ),
      );
    }
    for (const problem of facts.problems) {
      refusals.push(refusal('PodNotSupported', `Container ${name}: ${sentence(problem)}`));
    }
  }
  return refusals;
}

/** What becomes of the TCP connections that the source agent has found open. */
export function connectionFindings(
  pod: Pod,
  containers: readonly ContainerFacts[],
  tcp: PodMigration['spec']['tcp'],
): Findings {
  const refusals: Refusal[] = [];
  const warnings: string[] = [];
  const connections = Math.max(0, ...containers.map((facts) => facts.establishedTcpConnections));
  if (connections > 0) {
    const what = connections === 1 ? 'one TCP connection is' : `${connections} TCP connections are`;
    if (tcp === 'Refuse') {
      refusals.push(
        refusal(
          'TcpConnectionsOpen',
          `In pod ${pod.metadata.name} ${what} open, and spec.tcp is Refuse.`,
          'Migrate with spec.tcp: Close to let the process find them reset.',
        ),
      );
    } else {
      warnings.push(`In the pod ${what} open: the process finds them reset after the migration.`);
    }
  }
  return { refusals, warnings };
}

/** ID of a container without its scheme, as the pod's status has it. */
export function containerId(pod: Pod, name: string): string | undefined {
  return pod.status?.containerStatuses
    ?.find((status) => status.name === name)
    ?.containerID?.replace(/^[^:]*:\/\//, '');
}

function names(list: readonly { name: string }[]): string {
  return list.map(({ name }) => name).join(', ');
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
