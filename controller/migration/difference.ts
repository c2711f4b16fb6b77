/**
 * Compares a created pod with what was asked for: admission webhooks and plugins may have changed it, and a pod with
 * another container or another command is not the one that was checkpointed.
 */
import type { Pod } from '../../common/kube/types.js';

/** Paths under spec that the API server or its built-in admission plugins fill in by themselves. */
const DEFAULTED =
  /^(priority|preemptionPolicy|overhead|schedulerName|dnsPolicy|restartPolicy|serviceAccount|serviceAccountName|enableServiceLinks|terminationGracePeriodSeconds|securityContext|automountServiceAccountToken|nodeName|tolerations\[.*\]|imagePullSecrets\[.*\]|(containers|initContainers)\[[^\]]*\]\.(resources|terminationMessagePath|terminationMessagePolicy|imagePullPolicy|securityContext))$/;

/** Differences as sentences; empty when the pod is as it was asked for. */
export function differences(asked: Pod, created: Pod): string[] {
  const found: string[] = [];
  compare('', asked.spec, created.spec, found);
  for (const kind of ['labels', 'annotations'] as const) {
    for (const [key, value] of Object.entries(asked.metadata[kind] ?? {})) {
      if (created.metadata[kind]?.[key] !== value) found.push(`${kind.slice(0, -1)} ${key} was changed`);
    }
  }
  return found;
}

function compare(path: string, asked: unknown, created: unknown, found: string[]): void {
  if (isEmpty(asked) && isEmpty(created)) return;
  if (isEmpty(asked) && Array.isArray(created)) {
    compareArrays(path, [], created, found);
  } else if (asked === undefined) {
    if (!DEFAULTED.test(path)) found.push(`${path} was added`);
  } else if (created === undefined) {
    found.push(`${path} was removed`);
  } else if (Array.isArray(asked) && Array.isArray(created)) {
    compareArrays(path, asked, created, found);
  } else if (isObject(asked) && isObject(created)) {
    for (const key of new Set([...Object.keys(asked), ...Object.keys(created)])) {
      compare(path === '' ? key : `${path}.${key}`, asked[key], created[key], found);
    }
  } else if (asked !== created) {
    found.push(`${path} was changed`);
  }
}

/** Elements with a name (containers, volumes, variables) are matched by it; tolerations and others by their contents. */
function compareArrays(path: string, asked: unknown[], created: unknown[], found: string[]): void {
  const left = byIdentity(path, asked);
  const right = byIdentity(path, created);
  for (const key of new Set([...left.keys(), ...right.keys()])) {
    compare(`${path}[${key}]`, left.get(key), right.get(key), found);
  }
}

function byIdentity(path: string, elements: unknown[]): Map<string, unknown> {
  // The order of a command matters, and its words have no names.
  const ordered = /\.(command|args)$/.test(path);
  const seen = new Map<string, unknown>();
  elements.forEach((element, index) => {
    const name = isObject(element) ? (element.mountPath ?? element.name) : undefined;
    let key = ordered ? String(index) : typeof name === 'string' ? name : contents(element);
    while (seen.has(key)) key += "'";
    seen.set(key, element);
  });
  return seen;
}

/**
 * As JSON, with keys in one order: an API server gives a pod its fields in the order of the schema, but those of a pod that is kept in
 * a custom resource (a checkpoint's) in the order of the alphabet.
 */
function contents(element: unknown): string {
  return JSON.stringify(element, (_, value: unknown) =>
    isObject(value) ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) : value,
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null) return true;
  if (Array.isArray(value)) return value.length === 0;
  return isObject(value) && Object.keys(value).length === 0;
}
