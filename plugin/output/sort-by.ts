/** `--sort-by=PATH`: numbers by value, texts by their characters, what has no such field first. Pure. */
import { CliError } from '../cli-error.js';
import { find } from './jsonpath.js';
import { parsePath } from './jsonpath-parse.js';

export function sortBy<T>(objects: readonly T[], path: string): T[] {
  const template = parsePath(path);
  const keyed = objects.map((object) => ({ object, value: find(template, object)[0]?.[0] }));
  if (objects.length > 0 && keyed.every(({ value }) => value === undefined)) {
    throw new CliError(`None of them has a field "${path}", so they cannot be sorted by it.`, [
      'Look at the fields with: -o yaml',
    ]);
  }
  return keyed.sort((a, b) => compareValues(a.value, b.value)).map(({ object }) => object);
}

function compareValues(a: unknown, b: unknown): number {
  if (a === undefined || b === undefined) return Number(a !== undefined) - Number(b !== undefined);
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  if (typeof a === 'boolean' && typeof b === 'boolean') return Number(a) - Number(b);
  const [left, right] = [String(a as string), String(b as string)];
  return left === right ? 0 : left < right ? -1 : 1;
}
