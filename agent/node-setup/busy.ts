import { Claim } from '../../proto/gen/lpm/v1/agent.js';
import type { Context } from '../context.js';
import { frozenPods, restoreHoldings } from '../holdings.js';
import { observePod } from '../target.js';

/**
 * What a restart of the container runtime would disturb on this node, as the end of a sentence "… when"; empty when there is
 * nothing. Pods that were restored and run are not disturbed: they belong to their shims.
 *
 * @param inProgress checkpoints and restores that this process works at
 */
export async function whatIsMigrated(context: Context, inProgress: number): Promise<string> {
  if (inProgress > 0) return 'the checkpoints and restores on this node are over';
  const [frozen] = await frozenPods(context);
  if (frozen?.pod) return `pod ${frozen.pod.namespace}/${frozen.pod.name} is not frozen any more`;
  for (const { podUid, staged, executed, claim } of await restoreHoldings(context)) {
    const waits = observePod(context.state, podUid).some(({ handler }) => handler?.alive);
    if (waits || (staged && !executed && claim !== Claim.CLAIM_REVOKED)) {
      return `the pod ${podUid} is restored`;
    }
  }
  return '';
}
