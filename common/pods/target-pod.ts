/**
 * The pod that continues the source: the source's spec with what must differ, and nothing else. This is the one place
 * where the difference is decided; each is said in a sentence (status.specChanges).
 */
import { ANNOTATION, RUNTIME_CLASS } from '../api/names.js';
import type { PodMigration } from '../api/schema.js';
import type { Pod } from '../kube/types.js';
import { ownAffinity } from './own-affinity.js';
import { originOf } from './restored-name.js';

export interface TargetPodPlan {
  name: string;
  /** Node that was asked for: the pod is bound to it without the scheduler. */
  nodeName?: string;
  /** Without nodeName: nodes among which the scheduler may choose. */
  candidates?: string[];
}

export interface TargetPod {
  pod: Pod;
  /** In what its spec differs from the source's, and why: one sentence each. */
  changes: string[];
}

type PodSpec = NonNullable<Pod['spec']>;

/** A pod's default host name: its name, cut to the length of a DNS label as the kubelet does it. */
const MAX_HOSTNAME = 63;

/**
 * Annotations that belong to one pod object or one sandbox and would be wrong on another: what kubectl applied, what CNI
 * plugins and limit rangers noted, ours.
 */
const NOT_CARRIED =
  /^(kubectl\.kubernetes\.io\/last-applied-configuration$|cni\.projectcalico\.org\/|k8s\.v1\.cni\.cncf\.io\/network(s)?-status$|k8s\.ovn\.org\/|kubernetes\.io\/(config\.|limit-ranger$)|lpm\.my\.domain\/)/;

/** Makes the target pod from the source as the API server has it. Changes nothing of what it is given. */
export function targetPod(
  source: Pod,
  migration: Pick<PodMigration, 'metadata'>,
  plan: TargetPodPlan,
): TargetPod {
  const changes: string[] = [];
  const spec = structuredClone(source.spec) as PodSpec;

  if (spec.runtimeClassName !== RUNTIME_CLASS) {
    changes.push(
      `runtimeClassName is ${RUNTIME_CLASS}: its runtime handler restores the containers instead of starting them.`,
    );
  }
  spec.runtimeClassName = RUNTIME_CLASS;

  const hostname = spec.hostname ?? source.metadata.name.slice(0, MAX_HOSTNAME).replace(/[-.]+$/, '');
  if (spec.hostname === undefined) {
    changes.push(`hostname is ${hostname}: the processes keep the host name that they know.`);
  }
  spec.hostname = hostname;

  if (spec.initContainers?.length) {
    const names = spec.initContainers.map((container) => container.name).join(', ');
    changes.push(`Without the init containers ${names}: they have finished and must not run again.`);
    delete spec.initContainers;
  }
  if (spec.ephemeralContainers) delete spec.ephemeralContainers;
  for (const container of spec.containers) {
    if (!container.lifecycle?.postStart) continue;
    changes.push(`Container ${container.name} has no postStart hook: it has run and must not run again.`);
    delete container.lifecycle.postStart;
    if (Object.keys(container.lifecycle).length === 0) delete container.lifecycle;
  }

  // Computed by the API server from the priority class and the runtime class.
  delete spec.priority;
  delete spec.preemptionPolicy;
  delete spec.overhead;

  const affinity = ownAffinity(source);
  if (affinity) spec.affinity = structuredClone(affinity);
  else delete spec.affinity;
  delete spec.nodeName;
  if (plan.nodeName) {
    spec.nodeName = plan.nodeName;
    if (plan.nodeName !== source.spec?.nodeName) changes.push(`nodeName is ${plan.nodeName}, as asked for.`);
    // A saved pod of which no node is known (it comes from another cluster) is kept away from none.
  } else if (plan.candidates?.length || source.spec?.nodeName) {
    spec.affinity = onlyNodes(spec.affinity, plan.candidates ?? [], source.spec?.nodeName ?? '');
    changes.push(
      plan.candidates?.length
        ? `Node affinity allows only nodes that can restore it: ${plan.candidates.join(', ')}.`
        : `Node affinity excludes the source node ${source.spec?.nodeName}.`,
    );
  }

  const { labels, annotations } = source.metadata;
  const pod: Pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: plan.name,
      ...(source.metadata.namespace ? { namespace: source.metadata.namespace } : {}),
      ...(labels ? { labels: { ...labels } } : {}),
      annotations: {
        ...Object.fromEntries(Object.entries(annotations ?? {}).filter(([key]) => !NOT_CARRIED.test(key))),
        [ANNOTATION.migration]: migration.metadata.uid ?? '',
        [ANNOTATION.migrationName]: migration.metadata.name,
        [ANNOTATION.origin]: originOf(source),
        [ANNOTATION.sourcePod]: source.metadata.name,
        [ANNOTATION.sourcePodUid]: source.metadata.uid ?? '',
      },
    },
    spec,
  };
  return { pod, changes };
}

/** True for a pod that this migration has made. */
export function isTargetOf(pod: Pod, migration: PodMigration): boolean {
  return pod.metadata.annotations?.[ANNOTATION.migration] === migration.metadata.uid;
}

/**
 * The pod's affinity, narrowed to the given nodes (or, without any, to all but the source). Terms are alternatives, so each
 * is repeated for each node; a field selector takes one value only.
 */
function onlyNodes(affinity: PodSpec['affinity'], nodes: string[], sourceNode: string): PodSpec['affinity'] {
  const required = affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  const terms = required?.length ? required : [{}];
  const choices = nodes.length
    ? nodes.map((node) => ({ key: 'metadata.name', operator: 'In', values: [node] }))
    : [{ key: 'metadata.name', operator: 'NotIn', values: [sourceNode] }];
  return {
    ...affinity,
    nodeAffinity: {
      ...affinity?.nodeAffinity,
      requiredDuringSchedulingIgnoredDuringExecution: {
        nodeSelectorTerms: terms.flatMap((term) =>
          choices.map((choice) => ({ ...term, matchFields: [...(term.matchFields ?? []), choice] })),
        ),
      },
    },
  };
}
