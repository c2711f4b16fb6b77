/** The two kinds of Event are one thing in storage, with other field names (k8s.io/kubernetes/pkg/apis/events/v1). */
import { isFields, type KubeObject } from '../kube-object.js';

const pairs: [core: string, events: string][] = [
  ['involvedObject', 'regarding'],
  ['message', 'note'],
  ['count', 'deprecatedCount'],
  ['firstTimestamp', 'deprecatedFirstTimestamp'],
  ['lastTimestamp', 'deprecatedLastTimestamp'],
  ['source', 'deprecatedSource'],
  ['reportingComponent', 'reportingController'],
];

/** Of core/v1, as stored, to events.k8s.io/v1. */
export function toEventsV1(stored: KubeObject): KubeObject {
  return rename(stored, 'events.k8s.io/v1', pairs);
}

/** Of events.k8s.io/v1 to core/v1, as stored. */
export function fromEventsV1(event: KubeObject): KubeObject {
  return rename(
    event,
    'v1',
    pairs.map(([core, events]) => [events, core]),
  );
}

function rename(object: KubeObject, apiVersion: string, names: [string, string][]): KubeObject {
  const result: KubeObject = { ...object, apiVersion };
  for (const [from, to] of names) {
    if (object[from] === undefined) continue;
    delete result[from];
    result[to] = object[from];
  }
  return result;
}

/** The fields of the object that an event is about, which kubectl describe selects by. */
export const involvedObjectSelectors: Record<string, (object: KubeObject) => string> = Object.fromEntries(
  ['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'].map((field) => [
    `involvedObject.${field}`,
    (object: KubeObject) => {
      const involved = object['involvedObject'] ?? object['regarding'];
      const value = isFields(involved) ? involved[field] : undefined;
      return typeof value === 'string' ? value : '';
    },
  ]),
);
