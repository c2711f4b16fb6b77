/** The pods of a workload or a selector, as the cluster has them. */
import { ApiError } from '../../common/kube/api-error.js';
import type { KubeClient } from '../../common/kube/client.js';
import type { KubeList, KubeObject, Pod } from '../../common/kube/types.js';
import { CliError } from '../cli-error.js';
import { either, near } from '../text/suggest.js';
import { WORKLOADS, type Subject, type WorkloadType } from './subject.js';

interface LabelSelector {
  matchLabels?: Record<string, string>;
  matchExpressions?: { key: string; operator: string; values?: string[] }[];
}
type Workload = KubeObject & { spec?: { selector?: LabelSelector } };

export interface FoundPods {
  pods: Pod[];
  /** Those that have nothing to save, each with why. */
  leftOut: string[];
}

/** The running pods of several subjects, each once. Pods that are named one by one are not looked at here. */
export async function podsOf(
  client: KubeClient,
  namespace: string,
  subjects: readonly Exclude<Subject, { of: 'pod' }>[],
): Promise<FoundPods> {
  const found = new Map<string, Pod>();
  for (const subject of subjects) {
    const selector =
      subject.of === 'selector'
        ? subject.selector
        : await selectorOf(client, namespace, subject.type, subject.name);
    const { items } = await client.pods.list({
      namespace,
      ...(selector === '' ? {} : { labelSelector: selector }),
    });
    if (items.length === 0) throw nobody(subject, namespace);
    for (const pod of items) found.set(pod.metadata.name, pod);
  }
  const all = [...found.values()];
  return {
    pods: all.filter((pod) => notRunning(pod) === undefined),
    leftOut: all.flatMap((pod) => notRunning(pod) ?? []),
  };
}

function nobody(subject: Exclude<Subject, { of: 'pod' }>, namespace: string): CliError {
  const whose =
    subject.of === 'selector'
      ? subject.selector === ''
        ? 'is there'
        : `matches "${subject.selector}"`
      : `belongs to ${subject.type}/${subject.name}`;
  return new CliError(`No pod in namespace "${namespace}" ${whose}.`, [
    `List them with: kubectl get pods -n ${namespace} --show-labels`,
  ]);
}

function notRunning({ metadata, status }: Pod): string | undefined {
  if (metadata.deletionTimestamp) return `the pod ${metadata.name} is being deleted and is left out`;
  if (status?.phase !== 'Running')
    return `the pod ${metadata.name} is ${status?.phase ?? 'unknown'} and is left out`;
  return undefined;
}

async function selectorOf(
  client: KubeClient,
  namespace: string,
  type: WorkloadType,
  name: string,
): Promise<string> {
  const { group } = WORKLOADS[type];
  const path = `/apis/${group}/namespaces/${encodeURIComponent(namespace)}/${type}s`;
  try {
    const workload = await client.json<Workload>('GET', `${path}/${encodeURIComponent(name)}`);
    return selectorText(workload.spec?.selector ?? {});
  } catch (error) {
    if (!(error instanceof ApiError && error.isNotFound)) throw error;
    const others = await client
      .json<KubeList<Workload>>('GET', path)
      .then(({ items }) => items.map(({ metadata }) => metadata.name))
      .catch(() => []);
    const similar = near(name, others);
    throw new CliError(`There is no ${type} "${name}" in namespace "${namespace}".`, [
      similar.length > 0
        ? `Did you mean ${either(similar)}?`
        : `List them with: kubectl get ${type}s -n ${namespace}`,
    ]);
  }
}

/** A selector as the API takes it in a query (https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/). */
export function selectorText({ matchLabels = {}, matchExpressions = [] }: LabelSelector): string {
  return [
    ...Object.entries(matchLabels).map(([key, value]) => `${key}=${value}`),
    ...matchExpressions.map(({ key, operator, values = [] }) => {
      switch (operator) {
        case 'In':
          return `${key} in (${values.join(',')})`;
        case 'NotIn':
          return `${key} notin (${values.join(',')})`;
        case 'DoesNotExist':
          return `!${key}`;
        default:
          return key;
      }
    }),
  ].join(',');
}
