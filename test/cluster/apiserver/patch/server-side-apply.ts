/**
 * Server-side apply. Which manager applied which fields is kept in metadata.managedFields; what a manager applied
 * before and leaves out now is removed, unless another manager applied it as well, and applying another value to a
 * field that another manager applied is a conflict.
 *
 * Simpler than the real server in one thing: only what was *applied* has an owner. Fields that were written by
 * create, update or patch have none, so applying over them is never a conflict.
 */
import { isFields, sameJson, type Fields, type KubeObject, type ManagedFieldsEntry } from '../kube-object.js';
import type { Schema } from '../schema/schema.js';
import { StatusError, type About } from '../status-error.js';
import { timestamp } from '../time.js';

export interface ApplyRequest {
  manager: string;
  force: boolean;
  subresource?: string;
}

/** Paths of owned fields in the form of FieldsV1: `f:name`, `k:{"key":"value"}`, `v:"value"`, `.` for the item itself. */
type FieldSet = { [step: string]: FieldSet };

const notOwned = new Set([
  'apiVersion',
  'kind',
  'metadata.name',
  'metadata.namespace',
  'metadata.managedFields',
]);

/** Merges `applied` into `live` (fresh; changed in place) and records who applied what. */
export function serverSideApply(
  about: About,
  schema: Schema,
  live: KubeObject,
  applied: Fields,
  request: ApplyRequest,
): KubeObject {
  const entries = live.metadata.managedFields ?? [];
  const isOwn = (entry: ManagedFieldsEntry) =>
    entry.manager === request.manager &&
    entry.operation === 'Apply' &&
    (entry.subresource ?? '') === (request.subresource ?? '');
  const own = entries.find(isOwn);
  const others = entries.filter((entry) => entry !== own && entry.operation === 'Apply');
  const set = fieldSet(schema, applied, '');
  const conflicts = others.flatMap((entry) =>
    overlap(schema, set, (entry.fieldsV1 ?? {}) as FieldSet, live, applied, '').map((path) => ({
      manager: entry.manager ?? 'unknown',
      path,
    })),
  );
  if (conflicts.length > 0 && !request.force) throw conflictError(about, live.metadata.name, conflicts);

  const ownedByOthers = others.map((entry) => (entry.fieldsV1 ?? {}) as FieldSet);
  if (own) removeUnapplied(schema, live, (own.fieldsV1 ?? {}) as FieldSet, set, ownedByOthers);
  mergeApplied(schema, live, applied);
  const remaining = others.map((entry) => ({
    ...entry,
    fieldsV1: without(
      (entry.fieldsV1 ?? {}) as FieldSet,
      conflicts.filter(({ manager }) => manager === entry.manager).map(({ path }) => path),
    ),
  }));
  const entry: ManagedFieldsEntry = {
    manager: request.manager,
    operation: 'Apply',
    apiVersion: live.apiVersion,
    time: own && sameJson(own.fieldsV1, set) && own.time ? own.time : timestamp(),
    fieldsType: 'FieldsV1',
    fieldsV1: set,
    ...(request.subresource ? { subresource: request.subresource } : {}),
  };
  live.metadata.managedFields = [
    ...entries.filter((other) => other !== own && other.operation !== 'Apply'),
    ...remaining.filter((other) => Object.keys(other.fieldsV1).length > 0),
    entry,
  ];
  return live;
}

function conflictError(
  about: About,
  name: string,
  conflicts: { manager: string; path: string }[],
): StatusError {
  const causes = conflicts.map(({ manager, path }) => ({
    reason: 'FieldManagerConflict',
    message: `conflict with "${manager}"`,
    field: path,
  }));
  const managers = [...new Set(conflicts.map(({ manager }) => manager))];
  const text =
    conflicts.length === 1
      ? `Apply failed with 1 conflict: conflict with "${managers[0]}": ${conflicts[0]!.path}`
      : `Apply failed with ${conflicts.length} conflicts: conflicts with ${managers
          .map(
            (manager) =>
              `"${manager}":\n${conflicts
                .filter((conflict) => conflict.manager === manager)
                .map(({ path }) => `- ${path}`)
                .join('\n')}`,
          )
          .join('\nconflicts with ')}`;
  return new StatusError(409, 'Conflict', text, { name, kind: about.plural, causes });
}

function propertyOf(schema: Schema | undefined, name: string): Schema | undefined {
  const additional = schema?.additionalProperties;
  return schema?.properties?.[name] ?? (typeof additional === 'object' ? additional : undefined);
}

type Kind = 'fields' | 'map list' | 'set' | 'atomic';

function kindOf(schema: Schema | undefined, value: unknown): Kind {
  if (isFields(value)) return schema?.['x-kubernetes-map-type'] === 'atomic' ? 'atomic' : 'fields';
  if (!Array.isArray(value)) return 'atomic';
  switch (schema?.['x-kubernetes-list-type']) {
    case 'map':
      return 'map list';
    case 'set':
      return 'set';
    default:
      return 'atomic';
  }
}

/** The step that names an item of a list in FieldsV1. */
function itemStep(schema: Schema | undefined, item: unknown): string {
  if (kindOf(schema, []) === 'set') return `v:${JSON.stringify(item)}`;
  const keys = schema?.['x-kubernetes-list-map-keys'] ?? [];
  const identity: Fields = {};
  for (const key of [...keys].sort()) {
    const value = isFields(item) ? (item[key] ?? defaultOf(schema, key)) : undefined;
    if (value !== undefined) identity[key] = value;
  }
  return `k:${JSON.stringify(identity)}`;
}

/** Keys that may be left out: a container port's protocol. */
function defaultOf(schema: Schema | undefined, key: string): unknown {
  return schema?.items?.properties?.[key]?.default ?? (key === 'protocol' ? 'TCP' : undefined);
}

function fieldSet(schema: Schema | undefined, value: unknown, path: string): FieldSet {
  const set: FieldSet = {};
  switch (kindOf(schema, value)) {
    case 'fields':
      for (const [name, field] of Object.entries(value as Fields)) {
        const fieldPath = path === '' ? name : `${path}.${name}`;
        if (notOwned.has(fieldPath) || field === null) continue;
        const child = fieldSet(propertyOf(schema, name), field, fieldPath);
        if (fieldPath !== 'metadata' || Object.keys(child).length > 0) set[`f:${name}`] = child;
      }
      return set;
    case 'map list':
    case 'set':
      for (const item of value as unknown[]) {
        set[itemStep(schema, item)] = isFields(item)
          ? { '.': {}, ...fieldSet(schema?.items, item, `${path}[]`) }
          : {};
      }
      return set;
    case 'atomic':
      return set;
  }
}

function lookUp(
  schema: Schema | undefined,
  value: unknown,
  step: string,
): { schema: Schema | undefined; value: unknown } {
  if (step.startsWith('f:')) {
    const name = step.slice(2);
    return { schema: propertyOf(schema, name), value: isFields(value) ? value[name] : undefined };
  }
  const items = Array.isArray(value) ? (value as unknown[]) : [];
  return { schema: schema?.items, value: items.find((item) => itemStep(schema, item) === step) };
}

function shownStep(step: string): string {
  if (step.startsWith('f:')) return `.${step.slice(2)}`;
  if (step.startsWith('v:')) return `[=${step.slice(2)}]`;
  const identity = JSON.parse(step.slice(2)) as Fields;
  const keys = Object.entries(identity).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
  return `[${keys.join(',')}]`;
}

/** The paths that both sets own and whose value would change. */
function overlap(
  schema: Schema | undefined,
  set: FieldSet,
  other: FieldSet,
  live: unknown,
  applied: unknown,
  path: string,
): string[] {
  return Object.keys(set).flatMap((step) => {
    const theirs = other[step];
    if (step === '.' || theirs === undefined) return [];
    const now = lookUp(schema, live, step);
    const next = lookUp(schema, applied, step);
    const here = `${path}${shownStep(step)}`;
    const leaves = [set[step]!, theirs].filter((one) => Object.keys(one).length === 0).length;
    if (leaves === 2) return sameJson(now.value, next.value) ? [] : [here];
    // One applied an empty object, the other fields of it: they do not get in each other's way.
    if (leaves === 1) return [];
    return overlap(now.schema ?? next.schema, set[step]!, theirs, now.value, next.value, here);
  });
}

/** A set without some of its paths (in their shown form). */
function without(set: FieldSet, paths: string[], path = ''): FieldSet {
  if (paths.length === 0) return set;
  const result: FieldSet = {};
  for (const [step, child] of Object.entries(set)) {
    const here = step === '.' ? `${path}.` : `${path}${shownStep(step)}`;
    if (paths.includes(here)) continue;
    const left = without(child, paths, here);
    // What was taken away whole leaves no empty branch behind: that would read as a field of its own.
    if (Object.keys(left).length > 0 || Object.keys(child).length === 0) result[step] = left;
  }
  return result;
}

/** Removes from `value` what the manager's last set holds, the new one does not, and nobody else's does. */
function removeUnapplied(
  schema: Schema | undefined,
  value: unknown,
  before: FieldSet,
  now: FieldSet,
  others: FieldSet[],
): void {
  for (const [step, child] of Object.entries(before)) {
    if (step === '.') continue;
    const kept = now[step];
    const theirs = others.flatMap((other) => (other[step] ? [other[step]] : []));
    const found = lookUp(schema, value, step);
    if (found.value === undefined) continue;
    if (kept === undefined && theirs.length === 0 && !ownsOnlyPart(found.value, child, step)) {
      removeStep(schema, value, step);
    } else {
      removeUnapplied(found.schema, found.value, child, kept ?? {}, theirs);
      // What is empty then goes as well (structured-merge-diff, RemoveItems): a volume has no second source left.
      if (isEmpty(found.value)) removeStep(schema, value, step);
    }
  }
}

const isEmpty = (value: unknown): boolean =>
  Array.isArray(value) ? value.length === 0 : isFields(value) && Object.keys(value).length === 0;

/** A nested object of which the manager applied some fields stays: others may have come from elsewhere. */
function ownsOnlyPart(value: unknown, set: FieldSet, step: string): boolean {
  return step.startsWith('f:') && Object.keys(set).length > 0 && (isFields(value) || Array.isArray(value));
}

function removeStep(schema: Schema | undefined, value: unknown, step: string): void {
  if (step.startsWith('f:') && isFields(value)) delete value[step.slice(2)];
  else if (Array.isArray(value)) {
    const index = value.findIndex((item) => itemStep(schema, item) === step);
    if (index >= 0) value.splice(index, 1);
  }
}

/** Merges the applied value into the live one, in place, and returns the result. */
function mergeApplied(schema: Schema | undefined, live: unknown, applied: unknown): unknown {
  switch (kindOf(schema, applied)) {
    case 'fields': {
      const target: Fields = isFields(live) ? live : {};
      for (const [name, value] of Object.entries(applied as Fields)) {
        if (value === null) continue;
        target[name] = mergeApplied(propertyOf(schema, name), target[name], value);
      }
      return target;
    }
    case 'map list':
    case 'set': {
      const list: unknown[] = Array.isArray(live) ? live : [];
      for (const item of applied as unknown[]) {
        const step = itemStep(schema, item);
        const index = list.findIndex((known) => itemStep(schema, known) === step);
        if (index < 0) list.push(mergeApplied(schema?.items, undefined, item));
        else list[index] = mergeApplied(schema?.items, list[index], item);
      }
      return list;
    }
    case 'atomic':
      return applied;
  }
}
