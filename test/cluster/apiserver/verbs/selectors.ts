/** Label and field selectors of lists and watches. */
import type { KubeObject } from '../kube-object.js';
import type { Resource } from '../resources/resource.js';
import { badRequest } from '../status-error.js';

export type Predicate = (object: KubeObject) => boolean;

type Requirement = (labels: Record<string, string>) => boolean;

/** Parses `a=b,c!=d,e in (f,g),h notin (i),j,!k,l>1`. Throws 400. */
export function parseLabelSelector(text: string): (labels: Record<string, string>) => boolean {
  const requirements = splitOutsideParentheses(text).map((part) => parseRequirement(part, text));
  return (labels) => requirements.every((requirement) => requirement(labels));
}

function splitOutsideParentheses(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let current = '';
  for (const char of text) {
    if (char === '(') depth++;
    if (char === ')') depth--;
    if (char === ',' && depth === 0) {
      parts.push(current);
      current = '';
    } else {
      current += char;
    }
  }
  if (depth !== 0) throw badRequest(`unable to parse requirement: found '', expected: ',' or ')'`);
  parts.push(current);
  return parts.map((part) => part.trim()).filter((part) => part !== '');
}

const key = '([A-Za-z0-9]([-A-Za-z0-9_./]*[A-Za-z0-9])?)';
const setPattern = new RegExp(`^${key}\\s+(in|notin)\\s*\\(([^)]*)\\)$`);
const equalPattern = new RegExp(`^${key}\\s*(==|=|!=)\\s*([-A-Za-z0-9_.]*)$`);
const comparePattern = new RegExp(`^${key}\\s*([<>])\\s*(-?\\d+)$`);
const existsPattern = new RegExp(`^(!?)\\s*${key}$`);

function parseRequirement(part: string, whole: string): Requirement {
  const inSet = setPattern.exec(part);
  if (inSet) {
    const name = inSet[1]!;
    const values = new Set(inSet[4]!.split(',').map((value) => value.trim()));
    return inSet[3] === 'in'
      ? (labels) => labels[name] !== undefined && values.has(labels[name])
      : (labels) => labels[name] === undefined || !values.has(labels[name]);
  }
  const equal = equalPattern.exec(part);
  if (equal) {
    const [, name, , operator, value] = equal;
    return operator === '!=' ? (labels) => labels[name!] !== value : (labels) => labels[name!] === value;
  }
  const compare = comparePattern.exec(part);
  if (compare) {
    const [, name, , operator, bound] = compare;
    return (labels) => {
      const actual = Number(labels[name!] ?? 'NaN');
      return operator === '>' ? actual > Number(bound) : actual < Number(bound);
    };
  }
  const exists = existsPattern.exec(part);
  if (exists) {
    const [, not, name] = exists;
    return not ? (labels) => labels[name!] === undefined : (labels) => labels[name!] !== undefined;
  }
  throw badRequest(`unable to parse requirement: ${JSON.stringify(part)} in ${JSON.stringify(whole)}`);
}

/** The equality requirements of a field selector. Throws 400 for other text. */
export function parseFieldSelector(text: string): { field: string; value: string; isEqual: boolean }[] {
  return text
    .split(',')
    .filter((part) => part.trim() !== '')
    .map((part) => {
      const match = /^\s*([^=!\s]+)\s*(!=|==|=)(.*)$/.exec(part);
      if (!match) throw badRequest(`invalid selector: ${JSON.stringify(part)}; can't understand it`);
      return { field: match[1]!, isEqual: match[2] !== '!=', value: match[3]!.replace(/\\([,=\\])/g, '$1') };
    });
}

/** What a list or watch selects, as one test; undefined when it selects everything. */
export function parseSelectors(resource: Resource, query: URLSearchParams): Predicate | undefined {
  const tests: Predicate[] = [];
  const labels = query.get('labelSelector');
  if (labels) {
    const matches = parseLabelSelector(labels);
    tests.push((object) => matches(object.metadata.labels ?? {}));
  }
  const fields = query.get('fieldSelector');
  if (fields) {
    for (const { field, value, isEqual } of parseFieldSelector(fields)) {
      const read = fieldReader(resource, field);
      tests.push((object) => (read(object) === value) === isEqual);
    }
  }
  if (tests.length === 0) return undefined;
  return (object) => tests.every((test) => test(object));
}

function fieldReader(resource: Resource, field: string): (object: KubeObject) => string {
  if (field === 'metadata.name') return (object) => object.metadata.name;
  if (field === 'metadata.namespace' && resource.namespaced)
    return (object) => object.metadata.namespace ?? '';
  const read = resource.fieldSelectors[field];
  if (read) return read;
  throw badRequest(
    resource.isCustom ? `field label not supported: ${field}` : `"${field}" is not a known field selector`,
  );
}
