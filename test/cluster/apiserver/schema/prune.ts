/** Custom resources: drops what the structural schema does not specify, and fills in its defaults. */
import { isFields, type Fields } from '../kube-object.js';
import type { Schema } from './schema.js';

const rootFields = new Set(['apiVersion', 'kind', 'metadata']);

/** Drops unknown fields in place and returns their paths. */
export function prune(schema: Schema, value: unknown, path = '', isRoot = true): string[] {
  const unknown: string[] = [];
  pruneValue(schema, value, path, isRoot, unknown);
  return unknown;
}

function pruneValue(schema: Schema, value: unknown, path: string, isResource: boolean, unknown: string[]) {
  if (Array.isArray(value)) {
    const { items } = schema;
    if (items) {
      value.forEach((item, i) =>
        pruneValue(items, item, `${path}[${i}]`, items['x-kubernetes-embedded-resource'] === true, unknown),
      );
    }
    return;
  }
  if (!isFields(value)) return;
  const { additionalProperties: additional } = schema;
  for (const name of Object.keys(value)) {
    if (isResource && rootFields.has(name)) continue;
    const property = schema.properties?.[name] ?? (typeof additional === 'object' ? additional : undefined);
    const fieldPath = path ? `${path}.${name}` : name;
    if (property) {
      pruneValue(
        property,
        value[name],
        fieldPath,
        property['x-kubernetes-embedded-resource'] === true,
        unknown,
      );
    } else if (!schema['x-kubernetes-preserve-unknown-fields'] && additional !== true) {
      unknown.push(fieldPath);
      delete value[name];
    }
  }
}

/**
 * Fills in defaults in place. A null for a field that has a default and is not nullable counts as absent
 * (kubernetes.io: "Defaulting and Nullable").
 */
export function applyDefaults(schema: Schema, value: unknown): void {
  if (Array.isArray(value)) {
    const { items } = schema;
    if (!items) return;
    for (let i = 0; i < value.length; i++) {
      if (value[i] === null && items.default !== undefined && !items.nullable) {
        value[i] = structuredClone(items.default);
      }
      applyDefaults(items, value[i]);
    }
    return;
  }
  if (!isFields(value)) return;
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    defaultField(property, value, name);
    if (value[name] !== undefined) applyDefaults(property, value[name]);
  }
  const { additionalProperties: additional } = schema;
  if (typeof additional === 'object') {
    for (const name of Object.keys(value)) {
      if (schema.properties?.[name]) continue;
      defaultField(additional, value, name);
      applyDefaults(additional, value[name]);
    }
  }
}

function defaultField(property: Schema, value: Fields, name: string): void {
  if (property.default === undefined) return;
  if (value[name] === undefined || (value[name] === null && !property.nullable)) {
    value[name] = structuredClone(property.default);
  }
}
