/**
 * Whether a pod's node selector and required node affinity allow a node: the kubelet asks the same when a pod is bound to
 * it without the scheduler (https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/).
 */
import type { Node, Pod } from '../../common/kube/types.js';

type PodSpec = NonNullable<Pod['spec']>;
type Requirement = { key: string; operator: string; values?: string[] };

export function allowsNode(spec: PodSpec, node: Node): boolean {
  const labels = node.metadata.labels ?? {};
  if (Object.entries(spec.nodeSelector ?? {}).some(([key, value]) => labels[key] !== value)) return false;
  const required = spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  if (!required) return true;
  return required.nodeSelectorTerms.some((term) => {
    const expressions = term.matchExpressions ?? [];
    const fields = term.matchFields ?? [];
    // A term without requirements matches nothing.
    if (expressions.length + fields.length === 0) return false;
    return (
      expressions.every((requirement) => holds(requirement, labels[requirement.key])) &&
      fields.every(
        (requirement) => requirement.key === 'metadata.name' && holds(requirement, node.metadata.name),
      )
    );
  });
}

function holds({ operator, values = [] }: Requirement, value: string | undefined): boolean {
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    case 'Gt':
      return value !== undefined && Number(value) > Number(values[0]);
    case 'Lt':
      return value !== undefined && Number(value) < Number(values[0]);
    default:
      return false;
  }
}

type Taint = NonNullable<NonNullable<Node['spec']>['taints']>[number];
type Toleration = NonNullable<PodSpec['tolerations']>[number];

/** Taints of the node with this effect that the pod does not tolerate. */
export function untolerated(spec: PodSpec, node: Node, effect: 'NoSchedule' | 'NoExecute'): Taint[] {
  return (node.spec?.taints ?? []).filter(
    (taint) =>
      taint.effect === effect && !(spec.tolerations ?? []).some((toleration) => tolerates(toleration, taint)),
  );
}

function tolerates(toleration: Toleration, taint: Taint): boolean {
  if (toleration.effect && toleration.effect !== taint.effect) return false;
  if (toleration.key && toleration.key !== taint.key) return false;
  if (toleration.operator === 'Exists') return true;
  return toleration.key !== undefined && (toleration.value ?? '') === (taint.value ?? '');
}
