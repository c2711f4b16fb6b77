/** The rules in `x-kubernetes-validations`: compiled once for a schema, evaluated for each write. */
import { Environment, Optional, type ParseResult } from '@marcbachmann/cel-js';
import { isFields, type Fields } from '../kube-object.js';
import { fieldError, type FieldError } from '../status-error.js';
import { registerKubernetesFunctions } from './cel-functions.js';
import type { Schema, ValidationRule } from './schema.js';

const environment = registerKubernetesFunctions(
  new Environment({
    enableOptionalTypes: true,
    homogeneousAggregateLiterals: false,
    unlistedVariablesAreDyn: false,
  }),
)
  .registerVariable('self', 'dyn')
  .registerVariable('oldSelf', 'dyn');

interface CompiledRule {
  source: ValidationRule;
  evaluate: ParseResult;
  message: ParseResult | undefined;
  isTransition: boolean;
}

/** A schema's rules in the shape of the schema, with only the branches that carry any. */
interface RuleTree {
  schema: Schema;
  rules: CompiledRule[];
  properties: Map<string, RuleTree>;
  items: RuleTree | undefined;
  additional: RuleTree | undefined;
}

export interface CompiledRules {
  /** Undefined when the schema carries no rule. */
  tree: RuleTree | undefined;
  /** What could not be compiled, by path in the CRD. */
  errors: FieldError[];
}

/** Compiles every rule of a schema. `path` is where the schema stands in the CRD, for messages. */
export function compileRules(schema: Schema, path: string): CompiledRules {
  const errors: FieldError[] = [];
  return { tree: compileTree(schema, path, errors), errors };
}

function compileTree(schema: Schema, path: string, errors: FieldError[]): RuleTree | undefined {
  const rules = (schema['x-kubernetes-validations'] ?? []).flatMap((source, i) => {
    const compiled = compileRule(schema, source, `${path}.x-kubernetes-validations[${i}]`, errors);
    return compiled ? [compiled] : [];
  });
  const properties = new Map<string, RuleTree>();
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    const tree = compileTree(property, `${path}.properties[${name}]`, errors);
    if (tree) properties.set(name, tree);
  }
  const items = schema.items && compileTree(schema.items, `${path}.items`, errors);
  const additional =
    typeof schema.additionalProperties === 'object'
      ? compileTree(schema.additionalProperties, `${path}.additionalProperties`, errors)
      : undefined;
  if (rules.length === 0 && properties.size === 0 && !items && !additional) return undefined;
  return { schema, rules, properties, items, additional };
}

function compileRule(
  schema: Schema,
  source: ValidationRule,
  path: string,
  errors: FieldError[],
): CompiledRule | undefined {
  const compiledOrUndefined = (expression: string, field: string): ParseResult | undefined => {
    try {
      const parsed = environment.parse(expression);
      const problem = parsed.check().error?.message ?? unknownField(schema, expression);
      if (problem === undefined) return parsed;
      errors.push(fieldError.invalid(field, expression, `compilation failed: ${problem}`));
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      errors.push(fieldError.invalid(field, expression, `compilation failed: ${problem}`));
    }
    return undefined;
  };
  const evaluate = compiledOrUndefined(source.rule, `${path}.rule`);
  const message =
    source.messageExpression === undefined
      ? undefined
      : compiledOrUndefined(source.messageExpression, `${path}.messageExpression`);
  if (!evaluate) return undefined;
  return { source, evaluate, message, isTransition: /\boldSelf\b/.test(source.rule) };
}

/** The real server knows the fields of `self`; a rule that reads another does not compile. */
function unknownField(schema: Schema, expression: string): string | undefined {
  if (schema.type !== 'object' || !schema.properties || schema['x-kubernetes-preserve-unknown-fields']) {
    return undefined;
  }
  const isRoot = schema.properties['apiVersion'] !== undefined || schema.properties['metadata'] !== undefined;
  const known = new Set(Object.keys(schema.properties).map(celName));
  for (const match of expression.matchAll(/\b(?:self|oldSelf)\.\??([A-Za-z_][A-Za-z0-9_]*)(\s*\()?/g)) {
    const name = match[1]!;
    if (match[2] || known.has(name)) continue;
    if (isRoot && ['apiVersion', 'kind', 'metadata'].includes(name)) continue;
    return `undefined field '${name}'`;
  }
  return undefined;
}

/** Evaluates the rules on an object; `old` is what it replaces, for rules about the transition. */
export function evaluateRules(tree: RuleTree, value: unknown, old?: unknown): FieldError[] {
  const errors: FieldError[] = [];
  evaluateTree(tree, value, old, '', errors);
  return errors;
}

function evaluateTree(
  tree: RuleTree,
  value: unknown,
  old: unknown,
  path: string,
  errors: FieldError[],
): void {
  if (value === undefined || value === null) return;
  for (const rule of tree.rules) evaluateRule(rule, tree.schema, value, old, path, errors);
  if (Array.isArray(value)) {
    const { items } = tree;
    if (items) {
      value.forEach((item, i) =>
        evaluateTree(items, item, counterpart(tree.schema, item, old), `${path}[${i}]`, errors),
      );
    }
  } else if (isFields(value)) {
    const oldFields: Fields = isFields(old) ? old : {};
    for (const [name, field] of Object.entries(value)) {
      const child =
        tree.properties.get(name) ?? (tree.schema.properties?.[name] ? undefined : tree.additional);
      if (!child) continue;
      const childPath = tree.properties.has(name) ? (path ? `${path}.${name}` : name) : `${path}[${name}]`;
      evaluateTree(child, field, oldFields[name], childPath, errors);
    }
  }
}

/** The old item that an item of a list-map corresponds to. Items of other lists have none. */
function counterpart(schema: Schema, item: unknown, old: unknown): unknown {
  if (schema['x-kubernetes-list-type'] !== 'map' || !Array.isArray(old) || !isFields(item)) return undefined;
  const keys = schema['x-kubernetes-list-map-keys'] ?? [];
  return old.find((other) => isFields(other) && keys.every((key) => other[key] === item[key]));
}

function evaluateRule(
  rule: CompiledRule,
  schema: Schema,
  value: unknown,
  old: unknown,
  path: string,
  errors: FieldError[],
): void {
  if (rule.isTransition && old === undefined && !rule.source.optionalOldSelf) return;
  const self = toCel(schema, value);
  const oldValue = old === undefined ? undefined : toCel(schema, old);
  const context: Record<string, unknown> = { self };
  if (rule.source.optionalOldSelf) {
    context['oldSelf'] = oldValue === undefined ? Optional.none() : Optional.of(oldValue);
  } else if (rule.isTransition) {
    context['oldSelf'] = oldValue;
  }
  const field = rule.source.fieldPath ? `${path}${rule.source.fieldPath}` : path;
  try {
    if (rule.evaluate(context) === true) return;
  } catch (error) {
    const why = error instanceof Error ? error.message.split('\n')[0] : String(error);
    errors.push(
      fieldError.invalid(
        field,
        schema.type ?? 'object',
        `rule evaluation error: ${why}: ${rule.source.rule}`,
      ),
    );
    return;
  }
  errors.push(failure(rule, schema, field.replace(/^\./, ''), context));
}

function failure(rule: CompiledRule, schema: Schema, field: string, context: Fields): FieldError {
  const { source } = rule;
  let message = source.message ?? `failed rule: ${source.rule.trim()}`;
  if (rule.message) {
    try {
      const text: unknown = rule.message(context);
      if (typeof text === 'string' && text.trim() !== '') message = text;
    } catch {
      // The real server falls back to the message as well.
    }
  }
  switch (source.reason) {
    case 'FieldValueForbidden':
      return fieldError.forbidden(field, message);
    case 'FieldValueRequired':
      return fieldError.required(field, message);
    case 'FieldValueDuplicate':
      return fieldError.duplicate(field, schema.type ?? 'object');
    default:
      return fieldError.invalid(field, schema.type ?? 'object', message);
  }
}

const reserved = new Set(
  (
    'true false null in as break const continue else for function if import let loop package namespace ' +
    'return var void while'
  ).split(' '),
);

/** How a field's name is written in a rule (kubernetes.io: "Validation rules", escaping). */
function celName(name: string): string {
  if (reserved.has(name)) return `__${name}__`;
  return name
    .replaceAll('__', '__underscores__')
    .replaceAll('.', '__dot__')
    .replaceAll('-', '__dash__')
    .replaceAll('/', '__slash__');
}

/** A JSON value as CEL sees it through the schema: integers are int, times are timestamps, names are escaped. */
function toCel(schema: Schema | undefined, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => toCel(schema?.items, item));
  if (isFields(value)) {
    const result: Fields = {};
    for (const [name, field] of Object.entries(value)) {
      const property = schema?.properties?.[name];
      const additional = schema?.additionalProperties;
      result[property ? celName(name) : name] = toCel(
        property ?? (typeof additional === 'object' ? additional : undefined),
        field,
      );
    }
    return result;
  }
  if (typeof value === 'number') {
    return schema?.type !== 'number' && Number.isInteger(value) ? BigInt(value) : value;
  }
  if (typeof value === 'string' && schema?.format === 'date-time') return new Date(value);
  return value;
}
