import { ApiError } from '../../common/kube/api-error.js';
import type { KubeClient } from '../../common/kube/client.js';
import type { Pod } from '../../common/kube/types.js';
import { pause } from '../pause.js';
import type { Result } from '../several/result.js';

/** As kubectl drain waits between two tries. */
const RETRY_MS = 5_000;
const LOOK_MS = 500;

/**
 * Evicts a pod (API-initiated eviction, which asks its PodDisruptionBudget) and waits until it is gone. Why it could not be
 * moved stays in the result.
 */
export async function evict(
  client: KubeClient,
  { metadata }: Pod,
  result: Result,
  timeoutMs: number,
  detach: AbortSignal,
  say: (text: string) => void,
): Promise<Result> {
  const { name, namespace = 'default', uid } = metadata;
  const end = Date.now() + timeoutMs;
  const path = client.pods.path(namespace, name, 'eviction');
  const body = {
    apiVersion: 'policy/v1',
    kind: 'Eviction',
    metadata: { name, namespace },
    deleteOptions: { preconditions: { uid } },
  };
  let guarded = '';
  for (;;) {
    if (detach.aborted) return { ...result, outcome: 'Unfinished' };
    try {
      await client.json('POST', path, { body });
      break;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.isNotFound || error.isConflict) break;
      if (error.code !== 429) {
        return { ...result, outcome: 'Failed', why: `${result.why} Not evicted: ${error.message}` };
      }
      guarded = error.message;
    }
    if (Date.now() + RETRY_MS > end) {
      return { ...result, outcome: 'Left', why: `${result.why} Not evicted: ${guarded}` };
    }
    say(`waits to be evicted: ${guarded}`);
    await pause(RETRY_MS, detach);
  }
  say('is being evicted');
  while (!detach.aborted) {
    const now = await client.pods.find(name, namespace);
    if (!now || now.metadata.uid !== uid) return { ...result, outcome: 'Evicted', blocks: false };
    if (Date.now() > end)
      return { ...result, outcome: 'Unfinished', why: `${result.why} Its eviction takes long.` };
    await pause(LOOK_MS, detach);
  }
  return { ...result, outcome: 'Unfinished' };
}
