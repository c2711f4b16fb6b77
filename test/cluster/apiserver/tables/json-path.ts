/**
 * The part of Kubernetes' JSONPath that printer columns and scale paths use: fields, quoted fields, indices, `[*]`,
 * and filters such as `[?(@.type=="Ready")]`.
 */
import { isFields } from '../kube-object.js';

type Step = (values: unknown[]) => unknown[];

const compiled = new Map<string, Step[]>();

/** The values that a path leads to; none when something on the way is missing. */
export function jsonPath(path: string, root: unknown): unknown[] {
  let steps = compiled.get(path);
  if (!steps) compiled.set(path, (steps = compile(path)));
  return steps.reduce<unknown[]>((values, step) => step(values), [root]);
}

const stepPattern =
  /^(?:\.([A-Za-z0-9_$-]+(?:\\\.[A-Za-z0-9_$/-]+)*)|\[['"]([^'"]+)['"]\]|\[(-?\d+)\]|\[\*\]|\.\*|\[\?\(@\.([^)=!<>\s]+)\s*(==|!=)\s*["']([^"']*)["']\)\])/;

function compile(path: string): Step[] {
  const steps: Step[] = [];
  let rest = path.trim().replace(/^\{/, '').replace(/\}$/, '').replace(/^\$/, '');
  if (rest !== '' && !rest.startsWith('.') && !rest.startsWith('[')) rest = `.${rest}`;
  while (rest !== '' && rest !== '.') {
    const match = stepPattern.exec(rest);
    if (!match)
      throw new Error(`JSONPath ${JSON.stringify(path)} is not understood from ${JSON.stringify(rest)} on`);
    steps.push(stepOf(match));
    rest = rest.slice(match[0].length);
  }
  return steps;
}

function stepOf(match: RegExpExecArray): Step {
  const field = match[1]?.replaceAll('\\.', '.') ?? match[2];
  if (field !== undefined) {
    return (values) =>
      values.flatMap((value) => (isFields(value) && value[field] !== undefined ? [value[field]] : []));
  }
  if (match[3] !== undefined) {
    const index = Number(match[3]);
    return (values) =>
      values.flatMap((value) => {
        const item = Array.isArray(value) ? (value.at(index) as unknown) : undefined;
        return item === undefined ? [] : [item];
      });
  }
  if (match[4] !== undefined) {
    const [, , , , name, operator, wanted] = match;
    return (values) =>
      values
        .flatMap((value) => (Array.isArray(value) ? (value as unknown[]) : []))
        .filter((item) => {
          const actual = jsonPath(`.${name!}`, item)[0];
          return (operator === '==') === (actual !== undefined && String(actual) === wanted);
        });
  }
  return (values) =>
    values.flatMap((value) =>
      Array.isArray(value) ? (value as unknown[]) : isFields(value) ? Object.values(value) : [],
    );
}
