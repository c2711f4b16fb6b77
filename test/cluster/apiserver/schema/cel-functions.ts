/** Functions that Kubernetes adds to CEL (kubernetes.io: "CEL options, language features and libraries"). */
import type { Environment } from '@marcbachmann/cel-js';
import { parseQuantity } from '../../quantity.js';

type Comparable = string | number | bigint;

function isSorted(items: Comparable[]): boolean {
  return items.every((item, i) => i === 0 || items[i - 1]! <= item);
}

function sum(items: (number | bigint)[]): number | bigint {
  if (items.length === 0) return 0n;
  return items.reduce((a, b) =>
    typeof a === 'bigint' && typeof b === 'bigint' ? a + b : Number(a) + Number(b),
  );
}

function extreme(items: Comparable[], better: (a: Comparable, b: Comparable) => boolean): Comparable {
  if (items.length === 0) throw new Error('min or max called on an empty list');
  return items.reduce((best, item) => (better(item, best) ? item : best));
}

function isUrl(text: string): boolean {
  return URL.canParse(text);
}

export function registerKubernetesFunctions(environment: Environment): Environment {
  return (
    environment
      .registerFunction('string.find(string): string', (text: string, pattern: string) => {
        return new RegExp(pattern, 'u').exec(text)?.[0] ?? '';
      })
      .registerFunction('string.findAll(string): list', (text: string, pattern: string) => {
        return [...text.matchAll(new RegExp(pattern, 'gu'))].map((match) => match[0]);
      })
      .registerFunction('list.isSorted(): bool', isSorted)
      .registerFunction('list.sum(): dyn', sum)
      .registerFunction('list.min(): dyn', (items: Comparable[]) => extreme(items, (a, b) => a < b))
      .registerFunction('list.max(): dyn', (items: Comparable[]) => extreme(items, (a, b) => a > b))
      .registerFunction('isURL(string): bool', isUrl)
      .registerFunction('isQuantity(string): bool', (text: string) => parseQuantity(text) !== undefined)
      // A plain number here, so that it compares with < and >; its methods (isGreaterThan, …) are not there.
      .registerFunction('quantity(string): double', (text: string) => {
        const value = parseQuantity(text);
        if (value === undefined) throw new Error(`quantities must match the regular expression: ${text}`);
        return value;
      })
  );
}
