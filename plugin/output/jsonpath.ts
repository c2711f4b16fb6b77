/** Evaluates kubectl's JSONPath. Pure. The rules are those of k8s.io/client-go/util/jsonpath, keys may be missing. */
import { goJson, goText } from './go-text.js';
import { JsonPathError, type Node, type Template } from './jsonpath-parse.js';

/** The values of each expression of the template, and its texts. Values of one expression belong together. */
export type Found = unknown[][];

export function find(template: Template, data: unknown): Found {
  const { found, at } = block(template, 0, data, false);
  if (at < template.length) throw new JsonPathError('not in range, nothing to end');
  return found;
}

/** What `-o jsonpath=…` prints: no newline but those that the template has. */
export function printed(template: Template, data: unknown): string {
  return find(template, data)
    .map((values) => values.map(goText).join(' '))
    .join('');
}

/** What `-o jsonpath-as-json=…` prints: an array for each expression. */
export function printedAsJson(template: Template, data: unknown): string {
  return find(template, data)
    .map((values) => `${goJson(values, '    ')}\n`)
    .join('');
}

/** From `begin` to the end, or to the {end} of this range. `at` is behind it. */
function block(
  template: Template,
  begin: number,
  data: unknown,
  inRange: boolean,
): { found: Found; at: number } {
  const found: Found = [];
  let at = begin;
  while (at < template.length) {
    const part = template[at]!;
    at++;
    if (part.kind === 'text') {
      found.push([part.text]);
      continue;
    }
    const [first, ...rest] = part.nodes;
    if (first?.kind === 'end') {
      if (!inRange) throw new JsonPathError('not in range, nothing to end');
      return { found, at };
    }
    if (first?.kind !== 'range') {
      found.push(walk(part.nodes, [data]));
      continue;
    }
    const each = walk(rest, [data]);
    // Without a value the range is passed over, and its end must be found all the same.
    let end = each.length === 0 ? block(template, at, undefined, true).at : at;
    for (const value of each) {
      const inner = block(template, at, value, true);
      found.push(...inner.found);
      end = inner.at;
    }
    at = end;
  }
  return { found, at };
}

function walk(nodes: readonly Node[], input: readonly unknown[]): unknown[] {
  return nodes.reduce<unknown[]>((values, node) => step(node, values), [...input]);
}

function step(node: Node, input: unknown[]): unknown[] {
  switch (node.kind) {
    case 'text':
      return [node.text];
    case 'value':
      return input.map(() => node.value);
    case 'field':
      return input.flatMap((value) =>
        isMap(value) && Object.hasOwn(value, node.name) ? [value[node.name]] : [],
      );
    case 'wildcard':
      return input.flatMap(children);
    case 'recursive':
      return input.flatMap(descend);
    case 'slice':
      return input.flatMap((value) => (value === null || value === undefined ? [] : slice(node, value)));
    case 'union':
      return node.paths.flatMap((path) => walk(path, input));
    case 'filter':
      return input.flatMap((value) => filter(node, value));
    case 'range':
    case 'end':
      throw new JsonPathError(`{${node.kind}} stands alone in its braces, or before its path`);
    default:
      return node satisfies never;
  }
}

function children(value: unknown): unknown[] {
  if (Array.isArray(value)) return value;
  return isMap(value) ? Object.values(value) : [];
}

/** The value and all that is in it, but for what holds nothing. */
function descend(value: unknown): unknown[] {
  const inside = children(value);
  return inside.length === 0 ? [] : [value, ...inside.flatMap(descend)];
}

function slice(node: Extract<Node, { kind: 'slice' }>, value: unknown): unknown[] {
  if (!Array.isArray(value)) throw new JsonPathError(`${typeName(value)} is not array or slice`);
  const { length } = value;
  let from = node.from ?? 0;
  if (from < 0) from += length;
  let to = node.single ? (node.from ?? 0) + 1 : (node.to ?? length);
  if (to < 0 || (to === 0 && node.single)) to += length;
  if (from === to) return [];
  const outside = (index: number) =>
    new JsonPathError(`array index out of bounds: index ${index}, length ${length}`);
  if (from >= length || from < 0) throw outside(from);
  if (to > length || to < 0) throw outside(to - 1);
  if (from > to) throw new JsonPathError(`starting index ${from} is greater than ending index ${to}`);
  const { step: stride = 1 } = node;
  if (stride <= 0) throw new JsonPathError('step must be > 0');
  return value.slice(from, to).filter((_, index) => index % stride === 0);
}

function filter({ left, operator, right }: Extract<Node, { kind: 'filter' }>, value: unknown): unknown[] {
  if (value === null || value === undefined) return [];
  if (!Array.isArray(value)) {
    throw new JsonPathError(`${typeName(value)} is not array or slice and cannot be filtered`);
  }
  return (value as unknown[]).filter((element) => {
    const lefts = walk(left, [element]);
    if (operator === 'exists') return lefts.length > 0;
    const rights = walk(right, [element]);
    if (lefts.length === 0 || rights.length === 0) return false;
    if (lefts.length > 1 || rights.length > 1) {
      throw new JsonPathError('can only compare one element at a time');
    }
    return compare(lefts[0], operator, rights[0]);
  });
}

function compare(left: unknown, operator: string, right: unknown): boolean {
  if (typeof left !== typeof right || typeof left === 'object') {
    throw new JsonPathError('incompatible types for comparison');
  }
  const [a, b] = [left, right] as [string, string];
  switch (operator) {
    case '==':
      return a === b;
    case '!=':
      return a !== b;
    case '<':
      return a < b;
    case '<=':
      return a <= b;
    case '>':
      return a > b;
    case '>=':
      return a >= b;
    default:
      throw new JsonPathError(`unrecognized filter operator ${operator}`);
  }
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** As kubectl names it in its errors. */
function typeName(value: unknown): string {
  switch (typeof value) {
    case 'object':
      return value === null ? '<nil>' : 'map[string]interface {}';
    case 'number':
      return Number.isInteger(value) ? 'int64' : 'float64';
    case 'boolean':
      return 'bool';
    default:
      return typeof value;
  }
}
