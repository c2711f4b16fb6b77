/**
 * Strategic merge patch: a merge patch that knows which lists are merged by a key, with the directives $patch,
 * $retainKeys, $deleteFromPrimitiveList and $setElementOrder (Kubernetes community: strategic-merge-patch.md).
 */
import { isFields, sameJson, type Fields } from '../kube-object.js';
import type { Schema } from '../schema/schema.js';
import { badRequest } from '../status-error.js';

const setOrder = '$setElementOrder/';
const deletePrimitives = '$deleteFromPrimitiveList/';

/** Changes `target` in place where it can and returns the result. */
export function strategicMerge(schema: Schema | undefined, target: Fields, patch: Fields): Fields {
  const directive = patch['$patch'];
  if (directive === 'replace') {
    const replaced = { ...patch };
    delete replaced['$patch'];
    return replaced;
  }
  if (directive === 'delete') return {};
  if (directive !== undefined && directive !== 'merge') {
    throw badRequest(`Unknown patch directive: ${JSON.stringify(directive)}`);
  }
  const retained = patch['$retainKeys'];
  if (Array.isArray(retained)) {
    for (const name of Object.keys(target)) if (!retained.includes(name)) delete target[name];
  }
  for (const [name, value] of Object.entries(patch)) {
    if (name.startsWith(deletePrimitives)) {
      const field = name.slice(deletePrimitives.length);
      const list = target[field];
      if (Array.isArray(list) && Array.isArray(value)) {
        target[field] = list.filter((item) => !value.some((gone) => sameJson(gone, item)));
      }
    }
  }
  for (const [name, value] of Object.entries(patch)) {
    if (name.startsWith('$')) continue;
    const property = propertyOf(schema, name);
    if (value === null) delete target[name];
    else if (isFields(value)) {
      const current = target[name];
      target[name] = strategicMerge(property, isFields(current) ? current : {}, value);
    } else if (Array.isArray(value)) {
      target[name] = mergeList(property, target[name], value);
    } else {
      target[name] = value;
    }
  }
  for (const [name, value] of Object.entries(patch)) {
    if (!name.startsWith(setOrder)) continue;
    const field = name.slice(setOrder.length);
    const list = target[field];
    if (Array.isArray(list) && Array.isArray(value)) {
      target[field] = inOrder(list, value, propertyOf(schema, field)?.['x-kubernetes-patch-merge-key']);
    }
  }
  return target;
}

function propertyOf(schema: Schema | undefined, name: string): Schema | undefined {
  const additional = schema?.additionalProperties;
  return schema?.properties?.[name] ?? (typeof additional === 'object' ? additional : undefined);
}

function mergeList(schema: Schema | undefined, current: unknown, patch: unknown[]): unknown[] {
  const merges = schema?.['x-kubernetes-patch-strategy']?.split(',').includes('merge') ?? false;
  const isReplace = patch.some(
    (item) => isFields(item) && item['$patch'] === 'replace' && Object.keys(item).length === 1,
  );
  if (isReplace || !merges) return patch.filter((item) => !(isFields(item) && item['$patch'] === 'replace'));
  const list: unknown[] = Array.isArray(current) ? [...(current as unknown[])] : [];
  const key = schema?.['x-kubernetes-patch-merge-key'];
  for (const item of patch) {
    if (key === undefined || !isFields(item)) {
      if (!list.some((known) => sameJson(known, item))) list.push(item);
      continue;
    }
    if (item[key] === undefined) {
      throw badRequest(`map: ${JSON.stringify(item)} does not contain declared merge key: ${key}`);
    }
    const index = list.findIndex((known) => isFields(known) && known[key] === item[key]);
    if (item['$patch'] === 'delete') {
      if (index >= 0) list.splice(index, 1);
    } else if (index >= 0) {
      list[index] = strategicMerge(schema?.items, list[index] as Fields, item);
    } else {
      list.push(strategicMerge(schema?.items, {}, item));
    }
  }
  return list;
}

/** Items that the order names stand as it says; the others keep their place behind what preceded them. */
function inOrder(list: unknown[], order: unknown[], key: string | undefined): unknown[] {
  const identity = (item: unknown) => JSON.stringify(key !== undefined && isFields(item) ? item[key] : item);
  const rank = new Map(order.map((item, i) => [identity(item), i]));
  const named = list
    .filter((item) => rank.has(identity(item)))
    .sort((a, b) => rank.get(identity(a))! - rank.get(identity(b))!);
  const others = new Map<number, unknown[]>();
  let seen = 0;
  for (const item of list) {
    if (rank.has(identity(item))) seen++;
    else others.set(seen, [...(others.get(seen) ?? []), item]);
  }
  const result: unknown[] = [...(others.get(0) ?? [])];
  named.forEach((item, i) => result.push(item, ...(others.get(i + 1) ?? [])));
  return result;
}
