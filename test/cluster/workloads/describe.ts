/** Tells what happened in a scenario in few words that are the same in every run. */
import type { KubeObject, Pod } from '../../../common/kube/types.js';
import { at, isFields, sameJson } from '../apiserver/kube-object.js';
import type { Change } from './observer.js';
import type { Mark, Scenario } from './play.js';
import { Roles } from './roles.js';
import type { EndpointSlice } from './types.js';

export interface RecordedStep {
  title: string;
  /** What was done, in order; what was done at the same time is sorted. */
  actions: string[];
  /** Events by the object that they are about. Controllers tell them on the side, so their order says nothing. */
  events: Record<string, string[]>;
  /** The objects that are not as they were before the step, without times, uids and versions; null: gone. */
  objects: Record<string, unknown>;
}

export interface Recording {
  scenario: string;
  about: string;
  /** Where it was played. */
  origin: string;
  steps: RecordedStep[];
}

/**
 * Actions of one kind that directly follow each other are calls that run at the same time or pods that start or end at
 * the same time: their order among themselves is chance.
 */
const unordered = /(?:^|: )(create Pod|delete|remove|release|ready|unready|gone|ended|finished)\b/;

function runOf(action: string | undefined): string | undefined {
  const verb = unordered.exec(action ?? '')?.[1];
  // Whole objects and pods are both ended by the garbage collector.
  return verb === 'remove' ? 'delete' : verb;
}

export function describe(
  scenario: Scenario,
  origin: string,
  changes: Change[],
  ends: number[],
  objects: Map<string, KubeObject[]>[],
): Recording {
  const roles = new Roles(changes);
  const previous = new Map<string, KubeObject>();
  let before: Record<string, unknown> = {};
  const steps = scenario.steps.map(({ title }, i): RecordedStep => {
    const actions: string[] = [];
    const events: Record<string, string[]> = {};
    for (const change of changes.slice(ends[i - 1] ?? 0, ends[i])) {
      const key = `${change.kind}/${change.object.metadata.name}`;
      if (change.kind === 'Event') addEvent(events, change, previous.get(key), roles);
      else actions.push(...actionsOf(change, previous.get(key), scenario.marks, roles));
      if (change.type === 'DELETED') previous.delete(key);
      else previous.set(key, change.object);
    }
    for (const texts of Object.values(events)) texts.sort();
    const after = stateOf(objects[i]!, roles);
    const changed = differences(before, after);
    before = after;
    return {
      title,
      actions: sortRuns(actions),
      events: sortFields(events) as Record<string, string[]>,
      objects: changed,
    };
  });
  return { scenario: scenario.name, about: scenario.about, origin, steps };
}

function differences(
  before: Record<string, unknown>,
  after: Record<string, unknown>,
): Record<string, unknown> {
  const changed = Object.entries(after).filter(([key, value]) => !sameJson(before[key], value));
  const gone = Object.keys(before).filter((key) => !(key in after));
  return sortFields(Object.fromEntries([...changed, ...gone.map((key) => [key, null])])) as Record<
    string,
    unknown
  >;
}

export function sortRuns(actions: string[]): string[] {
  const sorted: string[] = [];
  for (let i = 0; i < actions.length;) {
    const run = runOf(actions[i]);
    let end = i + 1;
    while (run && runOf(actions[end]) === run) end++;
    sorted.push(...actions.slice(i, end).sort());
    i = end;
  }
  return sorted;
}

/** `actor: action`; the actor is the controller of the object, for what happens to pods the kubelet. */
function actionsOf(change: Change, old: KubeObject | undefined, marks: Mark[], roles: Roles): string[] {
  const { type, kind, object } = change;
  const name = `${kind} ${roles.of(kind, object.metadata.name)}`;
  const owner = ownerOf(object, roles);
  const actor = owner ?? 'user';
  if (kind === 'EndpointSlice') {
    const told = type === 'DELETED' ? 'removed' : endpointsOf(object as EndpointSlice, roles);
    return marks.includes('endpoints') ? [`${actor}: ${name}: ${told}`] : [];
  }
  if (silentKinds.has(kind)) return [];
  if (type === 'DELETED') {
    if (kind !== 'Pod') return [`${actor}: remove ${name}`];
    // Without a grace period, deletion is one write.
    const isSudden = old !== undefined && !old.metadata.deletionTimestamp;
    return [
      ...(isSudden ? [`${actor}: delete ${name}`] : []),
      ...(marks.includes('gone') ? [`kubelet: gone ${name}`] : []),
    ];
  }
  const replicas = at(object, 'spec', 'replicas');
  if (!old)
    return [`${actor}: create ${name}${replicas === undefined ? '' : ` replicas=${String(replicas)}`}`];
  const actions: string[] = [];
  const before = at(old, 'spec', 'replicas');
  if (before !== replicas) actions.push(`${actor}: scale ${name} ${String(before)} to ${String(replicas)}`);
  const oldOwner = ownerOf(old, roles);
  if (oldOwner !== owner) actions.push(owner ? `${owner}: adopt ${name}` : `${oldOwner}: release ${name}`);
  if (object.metadata.deletionTimestamp && !old.metadata.deletionTimestamp)
    actions.push(`${actor}: delete ${name}`);
  if (kind === 'Pod') {
    for (const mark of podMarks(object as Pod, old as Pod)) {
      if (marks.includes(mark)) actions.push(`kubelet: ${mark} ${name}`);
    }
  }
  return actions;
}

/** Kinds that are told by their state at the end only. */
const silentKinds = new Set(['Endpoints', 'ResourceQuota', 'PodDisruptionBudget']);

function podMarks(pod: Pod, old: Pod): Mark[] {
  const ready = (one: Pod): boolean =>
    one.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false;
  const over = (one: Pod): boolean => /^(Succeeded|Failed)$/.test(one.status?.phase ?? '');
  if (pod.metadata.deletionTimestamp) return over(pod) && !over(old) ? ['ended'] : [];
  return [
    ...(ready(pod) && !ready(old) ? (['ready'] as const) : []),
    ...(!ready(pod) && ready(old) ? (['unready'] as const) : []),
    ...(over(pod) && !over(old) ? (['finished'] as const) : []),
  ];
}

function ownerOf(object: KubeObject, roles: Roles): string | undefined {
  const owner = object.metadata.ownerReferences?.find((one) => one.controller);
  return owner ? `${owner.kind} ${roles.of(owner.kind, owner.name)}` : undefined;
}

function endpointsOf(slice: EndpointSlice, roles: Roles): string {
  const told = (slice.endpoints ?? []).map(({ addresses, conditions, targetRef }) => {
    const flags = Object.entries(conditions ?? {}).filter(([, value]) => value === true);
    const pod = targetRef ? roles.of('Pod', targetRef.name ?? '') : addresses.join();
    return `${pod}=${
      flags
        .map(([flag]) => flag)
        .sort()
        .join('+') || 'nothing'
    }`;
  });
  return told.sort().join(' ') || 'none';
}

/** client-go's recorder folds what it has told ten times in ten minutes; that is its business, not the controllers'. */
const combined = '(combined from similar events): ';

/** Those who tell the events that are compared: everybody but kubelets and the scheduler. */
const silent = /kubelet|default-scheduler|taint-eviction|node-controller/;

function addEvent(
  events: Record<string, string[]>,
  { type, object }: Change,
  old: KubeObject | undefined,
  roles: Roles,
): void {
  if (type === 'DELETED') return;
  const source = String(at(object, 'source', 'component') ?? at(object, 'reportingComponent') ?? '');
  if (silent.test(source)) return;
  // A count that goes on is the same event again.
  if (old && at(old, 'count') === at(object, 'count')) return;
  const about = `${String(at(object, 'involvedObject', 'kind'))} ${roles.of(
    String(at(object, 'involvedObject', 'kind')),
    String(at(object, 'involvedObject', 'name')),
  )}`;
  const text = `${String(at(object, 'type'))} ${String(at(object, 'reason'))}: ${roles.in(String(at(object, 'message'))).replace(combined, '')} (${source})`;
  (events[about] ??= []).push(text);
}

/** Fields of metadata that are told. */
const metadataFields = ['generateName', 'labels', 'annotations', 'finalizers', 'ownerReferences'];
/** Fields of a spec that controllers set and that are worth comparing, by kind. */
const specFields: Record<string, string[]> = {
  ReplicaSet: ['replicas', 'selector'],
  Pod: ['hostname', 'subdomain', 'affinity'],
};
/** Fields that only say when or where. */
const dropped = new Set([
  'uid',
  'resourceVersion',
  'creationTimestamp',
  'lastTransitionTime',
  'lastUpdateTime',
  'lastProbeTime',
  'lastHeartbeatTime',
  'startTime',
  'completionTime',
  'nodeName',
  'zone',
  'endpoints.kubernetes.io/last-change-trigger-time',
  'observedGeneration',
]);

function stateOf(objects: Map<string, KubeObject[]>, roles: Roles): Record<string, unknown> {
  const told: Record<string, unknown> = {};
  for (const [kind, list] of objects) {
    for (const object of list) {
      told[`${kind} ${roles.of(kind, object.metadata.name)}`] = sortFields(tell(kind, object, roles));
    }
  }
  return sortFields(told) as Record<string, unknown>;
}

function tell(kind: string, object: KubeObject, roles: Roles): unknown {
  const told: Record<string, unknown> = {};
  for (const field of metadataFields) {
    const value = at(object.metadata, field);
    if (value !== undefined) told[field] = value;
  }
  for (const field of specFields[kind] ?? []) {
    const value = at(object, 'spec', field);
    if (value !== undefined) told[field] = value;
  }
  if (kind === 'ControllerRevision') told['revision'] = at(object, 'revision');
  if (kind === 'EndpointSlice') {
    for (const field of ['addressType', 'endpoints', 'ports']) told[field] = at(object, field);
  }
  if (kind === 'Endpoints') told['subsets'] = at(object, 'subsets');
  const status = at(object, 'status');
  if (kind !== 'Pod' && status !== undefined) told['status'] = status;
  const generation = at(object, 'status', 'observedGeneration');
  if (kind !== 'Pod' && generation !== undefined)
    told['isObserved'] = generation === at(object.metadata, 'generation');
  return plain(told, roles);
}

/** Without times and uids, with roles for names; lists of conditions and endpoints sorted. */
function plain(value: unknown, roles: Roles): unknown {
  if (typeof value === 'string') return roles.in(value);
  if (Array.isArray(value)) {
    const list = value.map((one) => plain(one, roles));
    return list.every(isFields)
      ? list.sort((a, b) => compareText(JSON.stringify(a), JSON.stringify(b)))
      : list;
  }
  if (!isFields(value)) return value;
  return Object.fromEntries(
    Object.keys(value)
      .filter((key) => !dropped.has(key) && !isOnlyTimes(key, value[key]))
      .sort()
      .map((key) => [key, plain(value[key], roles)]),
  );
}

/** Annotations of which nothing is left to tell. */
function isOnlyTimes(key: string, value: unknown): boolean {
  return key === 'annotations' && isFields(value) && Object.keys(value).every((one) => dropped.has(one));
}

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

function sortFields(value: unknown): unknown {
  if (!isFields(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => compareText(a, b)));
}
