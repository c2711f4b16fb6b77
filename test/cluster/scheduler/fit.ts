import type { Node, Pod } from '../../../common/kube/types.js';

/** What a RuntimeClass adds to a pod's demands. */
export interface ClassScheduling {
  nodeSelector?: Record<string, string>;
  tolerations?: Toleration[];
}

type Taint = NonNullable<NonNullable<Node['spec']>['taints']>[number];
type Toleration = NonNullable<NonNullable<Pod['spec']>['tolerations']>[number];
type Term = NonNullable<
  NonNullable<
    NonNullable<
      NonNullable<NonNullable<Pod['spec']>['affinity']>['nodeAffinity']
    >['requiredDuringSchedulingIgnoredDuringExecution']
  >['nodeSelectorTerms']
>[number];
type Requirement = NonNullable<Term['matchExpressions']>[number];

/**
 * Why a pod cannot go to a node, in the scheduler's words; undefined when it can. Looked at: readiness, cordon,
 * taints, node selector, required node affinity, and the number of pods. Resources are not counted: the nodes of the
 * local cluster share one machine.
 */
export function whyNot(
  pod: Pod,
  node: Node,
  scheduling: ClassScheduling | undefined,
  podsThere: number,
): string | undefined {
  const tolerations = [...(pod.spec?.tolerations ?? []), ...(scheduling?.tolerations ?? [])];
  const ready = node.status?.conditions?.find(({ type }) => type === 'Ready')?.status === 'True';
  if (!ready) return 'node(s) were not ready';
  const taints = [...(node.spec?.taints ?? [])];
  if (node.spec?.unschedulable)
    taints.push({ key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' });
  const taint = taints.find(
    (one) => one.effect !== 'PreferNoSchedule' && !tolerations.some((t) => tolerates(t, one)),
  );
  if (taint?.key === 'node.kubernetes.io/unschedulable') return 'node(s) were unschedulable';
  if (taint) return `node(s) had untolerated taint {${taint.key}: ${taint.value ?? ''}}`;
  const labels = node.metadata.labels ?? {};
  const selector = { ...scheduling?.nodeSelector, ...pod.spec?.nodeSelector };
  const terms =
    pod.spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  const selected =
    Object.entries(selector).every(([key, value]) => labels[key] === value) &&
    (terms === undefined || terms.some((term) => matchesTerm(term, node)));
  if (!selected) return "node(s) didn't match Pod's node affinity/selector";
  if (podsThere >= Number(node.status?.allocatable?.pods ?? '110')) return 'Too many pods';
  return undefined;
}

/** https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/ */
export function tolerates(toleration: Toleration, taint: Taint): boolean {
  if (toleration.effect && toleration.effect !== taint.effect) return false;
  if (toleration.key && toleration.key !== taint.key) return false;
  if (toleration.operator === 'Exists') return true;
  return Boolean(toleration.key) && (toleration.value ?? '') === (taint.value ?? '');
}

function matchesTerm(term: Term, node: Node): boolean {
  const labels = node.metadata.labels ?? {};
  return (
    (term.matchExpressions ?? []).every((one) => matches(one, labels[one.key])) &&
    (term.matchFields ?? []).every((one) =>
      matches(one, one.key === 'metadata.name' ? node.metadata.name : undefined),
    )
  );
}

function matches({ operator, values = [] }: Requirement, actual: string | undefined): boolean {
  switch (operator) {
    case 'In':
      return actual !== undefined && values.includes(actual);
    case 'NotIn':
      return actual === undefined || !values.includes(actual);
    case 'Exists':
      return actual !== undefined;
    case 'DoesNotExist':
      return actual === undefined;
    case 'Gt':
      return actual !== undefined && Number(actual) > Number(values[0]);
    case 'Lt':
      return actual !== undefined && Number(actual) < Number(values[0]);
    default:
      return false;
  }
}
