import { createHash } from 'node:crypto';

/** The letters of k8s.io/apimachinery/pkg/util/rand, SafeEncodeString. */
const alphabet = 'bcdfghjklmnpqrstvwxz2456789';

/**
 * A short hash of a template for names and labels. It looks like Kubernetes' own but is not equal to it: that one hashes Go's
 * memory layout of the structures.
 */
export function templateHash(template: unknown, collisionCount = 0): string {
  const digest = createHash('sha256').update(stableJson(template)).update(`${collisionCount}`).digest();
  return [...digest.subarray(0, 10)].map((byte) => alphabet[byte % alphabet.length]).join('');
}

function stableJson(value: unknown): string {
  return JSON.stringify(value, (_key, one: unknown) =>
    typeof one === 'object' && one !== null && !Array.isArray(one)
      ? Object.fromEntries(Object.entries(one).sort(([a], [b]) => (a < b ? -1 : 1)))
      : one,
  );
}
