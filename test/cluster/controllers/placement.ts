/** Whether a pod may run on a node: the pure part of the scheduler. */
import { at, isFields, listOf, type KubeObject } from '../apiserver/kube-object.js';
import { matchesExpression } from '../apiserver/label-selector.js';
import { parseQuantity } from '../quantity.js';
import type { Pod, Taint, Toleration } from '../apiserver/resources/pod-types.js';

/** Why a pod does not fit on a node, in the words of kube-scheduler; undefined when it does. */
export function whyNot(pod: Pod, node: KubeObject, podsOnNode: readonly Pod[]): string | undefined {
  if (at(node.spec, 'unschedulable') === true && !tolerates(pod, unschedulableTaint)) {
    return 'node(s) were unschedulable';
  }
  if (!isReady(node)) return 'node(s) were not ready';
  const taint = (listOf(at(node.spec, 'taints')) as Taint[]).find(
    (one) => (one.effect === 'NoSchedule' || one.effect === 'NoExecute') && !tolerates(pod, one),
  );
  if (taint) return `node(s) had untolerated taint {${taint.key}: ${taint.value ?? ''}}`;
  if (!matchesSelector(pod, node)) return "node(s) didn't match Pod's node affinity/selector";
  return whatIsShort(pod, node, podsOnNode);
}

const unschedulableTaint: Taint = { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' };

function isReady(node: KubeObject): boolean {
  return listOf(at(node.status, 'conditions')).some(
    (condition) => at(condition, 'type') === 'Ready' && at(condition, 'status') === 'True',
  );
}

export function tolerates(pod: Pod, taint: Taint): boolean {
  return (pod.spec.tolerations ?? []).some((toleration) => covers(toleration, taint));
}

export function covers(toleration: Toleration, taint: Taint): boolean {
  if (toleration.effect && toleration.effect !== taint.effect) return false;
  if (toleration.key && toleration.key !== taint.key) return false;
  if (toleration.operator === 'Exists') return true;
  return Boolean(toleration.key) && (toleration.value ?? '') === (taint.value ?? '');
}

/** Whether a node has the labels and the name that a pod asks for. */
export function matchesSelector(pod: Pod, node: KubeObject): boolean {
  const labels = node.metadata.labels ?? {};
  for (const [key, value] of Object.entries(pod.spec.nodeSelector ?? {})) {
    if (labels[key] !== value) return false;
  }
  const required = at(pod.spec.affinity, 'nodeAffinity', 'requiredDuringSchedulingIgnoredDuringExecution');
  if (!isFields(required)) return true;
  return listOf(required['nodeSelectorTerms']).some((term) => {
    const expressions = listOf(at(term, 'matchExpressions'));
    const fields = listOf(at(term, 'matchFields'));
    // A term that requires nothing matches nothing.
    if (expressions.length + fields.length === 0) return false;
    return (
      expressions.every((expression) => matchesExpression(expression, labels)) &&
      fields.every((field) => matchesExpression(field, { 'metadata.name': node.metadata.name }))
    );
  });
}

/** The sum of the requests of a pod's containers, or the largest of its init containers. */
export function podRequest(pod: Pod, resource: string): number {
  const requestOf = (container: { resources?: { requests?: Record<string, string> } }) =>
    parseQuantity(container.resources?.requests?.[resource]) ?? 0;
  const main = pod.spec.containers.reduce((sum, container) => sum + requestOf(container), 0);
  const init = Math.max(0, ...(pod.spec.initContainers ?? []).map(requestOf));
  return Math.max(main, init) + (parseQuantity(pod.spec.overhead?.[resource]) ?? 0);
}

function whatIsShort(pod: Pod, node: KubeObject, podsOnNode: readonly Pod[]): string | undefined {
  const active = podsOnNode.filter(
    (other) => other.status?.phase !== 'Succeeded' && other.status?.phase !== 'Failed',
  );
  const allocatable = at(node.status, 'allocatable') ?? at(node.status, 'capacity');
  const maxPods = parseQuantity(at(allocatable, 'pods'));
  if (maxPods !== undefined && active.length + 1 > maxPods) return 'Too many pods';
  for (const resource of ['cpu', 'memory']) {
    const wanted = podRequest(pod, resource);
    const available = parseQuantity(at(allocatable, resource));
    if (wanted === 0 || available === undefined) continue;
    const used = active.reduce((sum, other) => sum + podRequest(other, resource), 0);
    if (used + wanted > available) return `Insufficient ${resource}`;
  }
  return undefined;
}
