/** Values as Go prints them, which is how kubectl prints them. Pure. */
import { sortedKeys } from '../../common/sorted-keys.js';

/** As encoding/json writes it: keys sorted, and what HTML would take for markup escaped. */
export function goJson(value: unknown, indent = ''): string {
  return (JSON.stringify(sortedKeys(value), undefined, indent) ?? 'null').replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** As a value stands in the text of `-o jsonpath`: maps and lists as JSON, all else bare. */
export function goText(value: unknown): string {
  return typeof value === 'object' && value !== null ? goJson(value) : goScalar(value);
}

/** As `%v` of Go's fmt prints it, which custom columns use: `map[app:counter]`, `[a b]`. */
export function goPrint(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(goPrint).join(' ')}]`;
  if (typeof value !== 'object' || value === null) return goScalar(value);
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `map[${entries.map(([key, each]) => `${key}:${goPrint(each)}`).join(' ')}]`;
}

function goScalar(value: unknown): string {
  if (value === null || value === undefined) return '<nil>';
  if (typeof value === 'number' && !Number.isInteger(value)) return goFloat(value);
  return String(value as string | number | boolean);
}

/** Exponents have two digits at least. */
function goFloat(value: number): string {
  return String(value).replace(/e([-+])(\d)$/, 'e$10$2');
}
