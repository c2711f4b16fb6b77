/** What `kubectl kustomize` makes of manifests/ with components and other images, as far as our components need it. Pure. */
import type { Component, ManifestObject, PatchStep } from './bundled.js';

/** Adds a component's objects and applies its patches. What is given stays as it is. */
export function withComponent(objects: readonly ManifestObject[], component: Component): ManifestObject[] {
  const all = structuredClone([...objects, ...component.objects]);
  for (const { target, patch } of component.patches) {
    const index = all.findIndex(
      ({ kind, metadata }) => kind === target.kind && metadata.name === target.name,
    );
    if (index < 0) throw new Error(`There is no ${target.kind} ${target.name} to be patched.`);
    const object = all[index]!;
    if (Array.isArray(patch)) for (const step of patch) applyStep(object, step);
    else all[index] = merged(object, patch) as ManifestObject;
  }
  return all;
}

/** Other images in place of those of the manifests, by their names without a tag. */
export function withImages(
  objects: readonly ManifestObject[],
  images: Readonly<Record<string, string | undefined>>,
): ManifestObject[] {
  const all = structuredClone([...objects]);
  for (const { spec } of all) {
    for (const container of containersOf(spec)) {
      const [name = ''] = /^[^:@]+/.exec(container.image) ?? [];
      container.image = images[name] ?? container.image;
    }
  }
  return all;
}

interface Container {
  image: string;
}

function containersOf(spec: unknown): Container[] {
  const pod = (
    spec as { template?: { spec?: { containers?: Container[]; initContainers?: Container[] } } } | undefined
  )?.template?.spec;
  return [...(pod?.initContainers ?? []), ...(pod?.containers ?? [])];
}

function applyStep(object: object, { op, path, value }: PatchStep): void {
  const keys = path
    .split('/')
    .slice(1)
    .map((key) => key.replace(/~1/g, '/').replace(/~0/g, '~'));
  const last = keys.pop() ?? '';
  const parent = keys.reduce<unknown>(
    (at, key) => (at as Record<string, unknown> | undefined)?.[key],
    object,
  );
  if (Array.isArray(parent)) {
    if (op === 'add') parent.splice(last === '-' ? parent.length : Number(last), 0, value);
    else if (op === 'replace') parent[Number(last)] = value;
    else parent.splice(Number(last), 1);
    return;
  }
  if (typeof parent !== 'object' || parent === null) throw new Error(`There is no ${path} to be patched.`);
  if (op === 'remove') delete (parent as Record<string, unknown>)[last];
  else (parent as Record<string, unknown>)[last] = value;
}

/** Keys by which the items of lists in pods are told apart; without one of them a list is replaced (strategic merge patch). */
const MERGE_KEYS = ['name', 'mountPath', 'containerPort'] as const;

function merged(old: unknown, patch: unknown): unknown {
  if (Array.isArray(patch)) return Array.isArray(old) ? mergedLists(old, patch) : patch;
  if (!isFields(patch)) return patch;
  const result: Record<string, unknown> = isFields(old) ? { ...old } : {};
  for (const [name, value] of Object.entries(patch)) {
    // null takes a field away.
    if (value === null) delete result[name];
    else result[name] = merged(result[name], value);
  }
  return result;
}

function mergedLists(old: readonly unknown[], patch: readonly unknown[]): unknown[] {
  const key = MERGE_KEYS.find((name) => patch.every((item) => isFields(item) && item[name] !== undefined));
  if (key === undefined) return [...patch];
  const items = patch as Record<string, unknown>[];
  const isOf = (item: Record<string, unknown>) => (one: unknown) => isFields(one) && one[key] === item[key];
  // What is patched comes first, as kustomize has it.
  return [
    ...items.map((item) => merged(old.find(isOf(item)), item)),
    ...old.filter((one) => !items.some((item) => isOf(item)(one))),
  ];
}

const isFields = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
