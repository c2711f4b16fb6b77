/** Tables of workloads and their budgets. */
import { at, isFields, listOf, textOf, type KubeObject } from '../kube-object.js';
import { humanDuration } from '../time.js';
import { simpleTable } from './simple.js';
import type { TableSpec } from './table.js';

const number =
  (...path: string[]) =>
  (object: KubeObject) =>
    Number(at(object, ...path) ?? 0);

function containerField(field: string): (object: KubeObject) => string {
  return (object) =>
    listOf(at(object.spec, 'template', 'spec', 'containers'))
      .map((container) => textOf(at(container, field)))
      .join(',');
}

function selector(object: KubeObject): string {
  const labels = at(object.spec, 'selector', 'matchLabels');
  const texts = Object.entries(isFields(labels) ? labels : {}).map(
    ([key, value]) => `${key}=${String(value)}`,
  );
  return texts.sort().join(',') || '<none>';
}

const readyOf = (object: KubeObject) =>
  `${number('status', 'readyReplicas')(object)}/${number('spec', 'replicas')(object)}`;

const containers: [string, (object: KubeObject) => string, 1][] = [
  ['Containers', containerField('name'), 1],
  ['Images', containerField('image'), 1],
];
const selectorColumn: [string, (object: KubeObject) => string, 1] = ['Selector', selector, 1];

function nodeSelector(object: KubeObject): string {
  const labels = at(object.spec, 'template', 'spec', 'nodeSelector');
  if (!isFields(labels)) return '<none>';
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${String(value)}`)
    .join(',');
}

function jobStatus(job: KubeObject): string {
  const isTrue = (type: string) =>
    listOf(at(job.status, 'conditions')).some(
      (condition) => at(condition, 'type') === type && at(condition, 'status') === 'True',
    );
  if (isTrue('Complete')) return 'Complete';
  if (isTrue('Failed')) return 'Failed';
  if (job.metadata.deletionTimestamp) return 'Terminating';
  return isTrue('Suspended') ? 'Suspended' : 'Running';
}

function jobDuration(job: KubeObject, now: number): string {
  const started = at(job.status, 'startTime');
  if (typeof started !== 'string') return '';
  const ended = at(job.status, 'completionTime');
  return humanDuration((typeof ended === 'string' ? Date.parse(ended) : now) - Date.parse(started));
}

export const workloadTables: Record<string, TableSpec> = {
  Deployment: simpleTable([
    ['Ready', readyOf],
    ['Up-to-date', number('status', 'updatedReplicas')],
    ['Available', number('status', 'availableReplicas')],
    'Age',
    ...containers,
    selectorColumn,
  ]),
  ReplicaSet: simpleTable([
    ['Desired', number('spec', 'replicas')],
    ['Current', number('status', 'replicas')],
    ['Ready', number('status', 'readyReplicas')],
    'Age',
    ...containers,
    selectorColumn,
  ]),
  StatefulSet: simpleTable([['Ready', readyOf], 'Age', ...containers]),
  DaemonSet: simpleTable([
    ['Desired', number('status', 'desiredNumberScheduled')],
    ['Current', number('status', 'currentNumberScheduled')],
    ['Ready', number('status', 'numberReady')],
    ['Up-to-date', number('status', 'updatedNumberScheduled')],
    ['Available', number('status', 'numberAvailable')],
    ['Node Selector', nodeSelector],
    'Age',
    ...containers,
    selectorColumn,
  ]),
  Job: simpleTable([
    ['Status', jobStatus],
    ['Completions', (job) => `${number('status', 'succeeded')(job)}/${number('spec', 'completions')(job)}`],
    ['Duration', jobDuration],
    'Age',
    ...containers,
    selectorColumn,
  ]),
  PodDisruptionBudget: simpleTable([
    ['Min Available', (budget) => String(at(budget.spec, 'minAvailable') ?? 'N/A')],
    ['Max Unavailable', (budget) => String(at(budget.spec, 'maxUnavailable') ?? 'N/A')],
    ['Allowed Disruptions', number('status', 'disruptionsAllowed')],
    'Age',
  ]),
};
