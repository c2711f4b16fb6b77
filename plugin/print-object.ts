import type { KubeObject } from '../common/kube/types.js';

export type ObjectFormat = 'json' | 'yaml' | 'name';

/** One object as kubectl prints it; managedFields are left out as there. */
export async function printObject(
  object: KubeObject,
  format: ObjectFormat,
  resource: string,
): Promise<string> {
  if (format === 'name') return `${resource}/${object.metadata.name}`;
  return serialize(shown(object), format);
}

/** Several objects as a List. */
export async function printList(
  objects: KubeObject[],
  format: ObjectFormat,
  resource: string,
): Promise<string> {
  if (format === 'name') return objects.map(({ metadata }) => `${resource}/${metadata.name}`).join('\n');
  return serialize(
    { apiVersion: 'v1', items: objects.map(shown), kind: 'List', metadata: { resourceVersion: '' } },
    format,
  );
}

async function serialize(value: unknown, format: 'json' | 'yaml'): Promise<string> {
  if (format === 'json') return JSON.stringify(value, null, 4);
  // Not yaml itself: split off, a CommonJS package has no named exports.
  const { toYaml } = await import('./text/yaml.js');
  return toYaml(value);
}

function shown(object: KubeObject): KubeObject {
  const { managedFields: _, ...metadata } = object.metadata as KubeObject['metadata'] & {
    managedFields?: unknown;
  };
  return { ...object, metadata };
}
