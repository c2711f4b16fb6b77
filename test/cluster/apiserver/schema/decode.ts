/**
 * Reads the body of a built-in kind the way the API server's typed decoder does: a value of the wrong type is an
 * error, an unknown field is dropped and told, null is the same as absent, quantities may be numbers.
 */
import { badRequest } from '../status-error.js';
import { isFields, type Fields } from '../kube-object.js';
import type { Schema } from './schema.js';

/** Changes `value` in place (it must be fresh) and returns the unknown fields by path. */
export function decodeBuiltin(schema: Schema, value: Fields, what: string): string[] {
  const unknown: string[] = [];
  decodeFields(schema, value, '', { unknown, what });
  return unknown;
}

interface Walk {
  unknown: string[];
  what: string;
}

function decodeFields(schema: Schema, value: Fields, path: string, walk: Walk): void {
  for (const name of Object.keys(value)) {
    const property = schema.properties?.[name] ?? itemOf(schema.additionalProperties);
    if (!property) {
      if (schema['x-kubernetes-preserve-unknown-fields']) continue;
      walk.unknown.push(path ? `${path}.${name}` : name);
      delete value[name];
    } else if (value[name] === null || value[name] === undefined) {
      if (!property['x-kubernetes-preserve-unknown-fields']) delete value[name];
    } else {
      value[name] = decodeValue(property, value[name], path ? `${path}.${name}` : name, walk, schema);
    }
  }
}

function itemOf(additional: Schema | boolean | undefined): Schema | undefined {
  return typeof additional === 'object' ? additional : undefined;
}

function decodeValue(schema: Schema, value: unknown, path: string, walk: Walk, parent: Schema): unknown {
  if (schema['x-kubernetes-int-or-string']) {
    if (typeof value === 'string' || Number.isInteger(value)) return value;
    throw mismatch(value, path, 'intstr.IntOrString', walk, parent);
  }
  switch (schema.type) {
    case 'object':
      if (!isFields(value)) throw mismatch(value, path, goType(schema), walk, parent);
      decodeFields(schema, value, path, walk);
      return value;
    case 'array':
      if (!Array.isArray(value)) throw mismatch(value, path, goType(schema), walk, parent);
      for (let i = 0; i < value.length; i++) {
        value[i] = decodeValue(schema.items!, value[i], `${path}[${i}]`, walk, parent);
      }
      return value;
    case 'string':
      if (schema.format === 'quantity') {
        if (typeof value === 'number') return String(value);
        if (typeof value === 'string' && quantityPattern.test(value)) return value;
        throw cannotHandle(
          walk,
          "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        );
      }
      if (typeof value !== 'string') throw mismatch(value, path, 'string', walk, parent);
      if (schema.format?.startsWith('date-time') && Number.isNaN(Date.parse(value))) {
        throw cannotHandle(
          walk,
          `parsing time ${JSON.stringify(value)} as "2006-01-02T15:04:05Z07:00": cannot parse ${JSON.stringify(value)} as "2006"`,
        );
      }
      return value;
    case 'boolean':
      if (typeof value !== 'boolean') throw mismatch(value, path, 'bool', walk, parent);
      return value;
    case 'integer':
      if (!Number.isInteger(value)) throw mismatch(value, path, schema.format ?? 'int64', walk, parent);
      return value;
    case 'number':
      if (typeof value !== 'number') throw mismatch(value, path, 'float64', walk, parent);
      return value;
    case undefined:
      return value;
  }
}

const quantityPattern = /^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$/;

function cannotHandle(walk: Walk, why: string): Error {
  return badRequest(`${walk.what}: ${why}`);
}

function mismatch(value: unknown, path: string, type: string, walk: Walk, parent: Schema): Error {
  const struct = parent.model?.replace(/^V\d+((alpha|beta)\d+)?/, '');
  const field = struct ? `Go struct field ${struct}.${path.replace(/\[\d+\]/g, '')}` : 'Go value';
  return cannotHandle(walk, `json: cannot unmarshal ${jsonType(value)} into ${field} of type ${type}`);
}

function jsonType(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  switch (typeof value) {
    case 'object':
      return 'object';
    case 'boolean':
      return 'bool';
    case 'number':
      return Number.isInteger(value) ? 'number' : `number ${value}`;
    default:
      return typeof value;
  }
}

function goType(schema: Schema): string {
  if (schema.type === 'array') return `[]${goType(schema.items!)}`;
  if (schema.model) return schema.model.replace(/^V(\d+(?:(?:alpha|beta)\d+)?)/, 'v$1.');
  if (typeof schema.additionalProperties === 'object')
    return `map[string]${goType(schema.additionalProperties)}`;
  return schema.type === 'integer' ? (schema.format ?? 'int64') : (schema.type ?? 'interface {}');
}
