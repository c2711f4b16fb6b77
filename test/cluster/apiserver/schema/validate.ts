/**
 * Checks a custom resource against its structural schema and words what is wrong like the API server does
 * (k8s.io/apiextensions-apiserver/pkg/apiserver/validation on top of kube-openapi's messages).
 */
import { isFields, sameJson, type Fields } from '../kube-object.js';
import { fieldError, type FieldError } from '../status-error.js';
import { matchesFormat } from './formats.js';
import type { Schema } from './schema.js';

export function validateStructure(schema: Schema, value: unknown): FieldError[] {
  const errors: FieldError[] = [];
  validateValue(schema, value, '', errors);
  return errors;
}

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}

function typeOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
}

function hasType(type: NonNullable<Schema['type']>, value: unknown): boolean {
  const actual = typeOf(value);
  return actual === type || (type === 'number' && actual === 'integer');
}

function validateValue(schema: Schema, value: unknown, path: string, errors: FieldError[]): void {
  if (value === null && schema.nullable) return;
  if (schema['x-kubernetes-int-or-string']) {
    if (typeof value !== 'string' && !Number.isInteger(value)) {
      errors.push(wrongType(path, 'integer,string', value));
      return;
    }
  } else if (schema.type && !hasType(schema.type, value)) {
    errors.push(wrongType(path, schema.type, value));
    return;
  }
  if (schema.enum && !schema.enum.some((allowed) => sameJson(allowed, value))) {
    errors.push(fieldError.notSupported(path, value, schema.enum));
  }
  if (typeof value === 'string') validateText(schema, value, path, errors);
  else if (typeof value === 'number') validateNumber(schema, value, path, errors);
  else if (Array.isArray(value)) validateList(schema, value, path, errors);
  else if (isFields(value)) validateFields(schema, value, path, errors);
  validateCombinations(schema, value, path, errors);
}

function wrongType(path: string, type: string, value: unknown): FieldError {
  const actual = typeOf(value);
  return fieldError.typeInvalid(path, actual, `${path} in body must be of type ${type}: "${actual}"`);
}

function validateText(schema: Schema, value: string, path: string, errors: FieldError[]): void {
  const length = [...value].length;
  // Like the real server, which says the first of these only.
  if (schema.maxLength !== undefined && length > schema.maxLength) {
    errors.push(fieldError.tooLong(path, schema.maxLength));
  } else if (schema.minLength !== undefined && length < schema.minLength) {
    errors.push(
      fieldError.invalid(path, value, `${path} in body should be at least ${schema.minLength} chars long`),
    );
  } else if (schema.pattern !== undefined && !patternOf(schema.pattern).test(value)) {
    errors.push(fieldError.invalid(path, value, `${path} in body should match '${schema.pattern}'`));
  }
  if (schema.format && !matchesFormat(schema.format, value)) {
    errors.push(
      fieldError.invalid(
        path,
        value,
        `${path} in body must be of type ${schema.format}: ${JSON.stringify(value)}`,
      ),
    );
  }
}

const patterns = new Map<string, RegExp>();

function patternOf(source: string): RegExp {
  let pattern = patterns.get(source);
  if (!pattern) patterns.set(source, (pattern = new RegExp(source, 'u')));
  return pattern;
}

const intRanges: Record<string, number> = { int32: 2 ** 31 };

function validateNumber(schema: Schema, value: number, path: string, errors: FieldError[]): void {
  const { minimum, maximum, multipleOf } = schema;
  if (maximum !== undefined && (schema.exclusiveMaximum ? value >= maximum : value > maximum)) {
    const words = schema.exclusiveMaximum ? 'less than' : 'less than or equal to';
    errors.push(fieldError.invalid(path, value, `${path} in body should be ${words} ${maximum}`));
  }
  if (minimum !== undefined && (schema.exclusiveMinimum ? value <= minimum : value < minimum)) {
    const words = schema.exclusiveMinimum ? 'greater than' : 'greater than or equal to';
    errors.push(fieldError.invalid(path, value, `${path} in body should be ${words} ${minimum}`));
  }
  if (multipleOf !== undefined && value % multipleOf !== 0) {
    errors.push(fieldError.invalid(path, value, `${path} in body should be a multiple of ${multipleOf}`));
  }
  const range = intRanges[schema.format ?? ''];
  if (range !== undefined && (value >= range || value < -range)) {
    errors.push(
      fieldError.invalid(path, value, `Checked value must be of type integer with format ${schema.format}`),
    );
  }
}

function validateList(schema: Schema, value: unknown[], path: string, errors: FieldError[]): void {
  if (schema.maxItems !== undefined && value.length > schema.maxItems) {
    errors.push(fieldError.tooMany(path, value.length, schema.maxItems));
  }
  if (schema.minItems !== undefined && value.length < schema.minItems) {
    errors.push(
      fieldError.invalid(path, value.length, `${path} in body should have at least ${schema.minItems} items`),
    );
  }
  validateUniqueness(schema, value, path, errors);
  const { items } = schema;
  if (items) value.forEach((item, i) => validateValue(items, item, `${path}[${i}]`, errors));
}

/** Lists of type set must not repeat a value, lists of type map not the values of their keys. */
function validateUniqueness(schema: Schema, value: unknown[], path: string, errors: FieldError[]): void {
  const type = schema['x-kubernetes-list-type'];
  if (type !== 'set' && type !== 'map' && !schema.uniqueItems) return;
  const keys = schema['x-kubernetes-list-map-keys'] ?? [];
  const seen = new Set<string>();
  value.forEach((item, i) => {
    const identity =
      type === 'map' && isFields(item)
        ? Object.fromEntries(
            keys.map((key) => [key, item[key] ?? schema.items?.properties?.[key]?.default ?? null]),
          )
        : item;
    const text = JSON.stringify(identity);
    if (seen.has(text)) errors.push(fieldError.duplicate(`${path}[${i}]`, identity));
    seen.add(text);
  });
}

const resourceFields = new Set(['apiVersion', 'kind', 'metadata']);

function validateFields(schema: Schema, value: Fields, path: string, errors: FieldError[]): void {
  for (const name of schema.required ?? []) {
    if (value[name] === undefined) errors.push(fieldError.required(join(path, name)));
  }
  const count = Object.keys(value).length;
  if (schema.maxProperties !== undefined && count > schema.maxProperties) {
    errors.push(fieldError.tooMany(path, count, schema.maxProperties));
  }
  if (schema.minProperties !== undefined && count < schema.minProperties) {
    errors.push(
      fieldError.invalid(
        path,
        count,
        `${path} in body should have at least ${schema.minProperties} properties`,
      ),
    );
  }
  const { additionalProperties: additional } = schema;
  for (const [name, field] of Object.entries(value)) {
    // The server itself checks these of the resource.
    if (path === '' && resourceFields.has(name)) continue;
    const property = schema.properties?.[name] ?? (typeof additional === 'object' ? additional : undefined);
    if (property) validateValue(property, field, join(path, name), errors);
  }
}

function validateCombinations(schema: Schema, value: unknown, path: string, errors: FieldError[]): void {
  const matches = (part: Schema) => {
    const found: FieldError[] = [];
    validateValue(part, value, path, found);
    return found.length === 0;
  };
  for (const part of schema.allOf ?? []) validateValue(part, value, path, errors);
  if (schema.anyOf && !schema.anyOf.some(matches)) {
    errors.push(fieldError.invalid(path, '', `${path} in body must validate at least one schema (anyOf)`));
  }
  if (schema.oneOf) {
    const count = schema.oneOf.filter(matches).length;
    if (count !== 1) {
      const found = count === 0 ? 'Found none valid' : `Found ${count} valid alternatives`;
      errors.push(
        fieldError.invalid(
          path,
          '',
          `${path} in body must validate one and only one schema (oneOf). ${found}`,
        ),
      );
    }
  }
  if (schema.not && matches(schema.not)) {
    errors.push(fieldError.invalid(path, '', `${path} in body must not validate the schema (not)`));
  }
}
