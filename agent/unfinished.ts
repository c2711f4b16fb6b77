import { statSync } from 'node:fs';
import { Claim } from '../proto/gen/lpm/v1/agent.js';
import { knownCheckpoints } from './artifacts.js';
import type { Context } from './context.js';
import { restoreHoldings } from './holdings.js';

/** What has lain here for longer than a migration usually takes waits for something else than this agent. */
const RECENT_MS = 10 * 60_000;

/**
 * What a migration or a checkpoint on this node still needs an agent for, as the end of a sentence "… until"; empty when there is
 * nothing. A pod stands frozen until this is over, so an agent that is to end does so before and not in the middle.
 *
 * @param inProgress checkpoints and restores that this process works at
 */
export async function whatIsUnfinished(
  context: Context,
  inProgress: number,
  now = Date.now(),
): Promise<string> {
  if (inProgress > 0) return 'the checkpoints and restores on this node are over';
  const isRecent = (since: Date | undefined): boolean =>
    since !== undefined && now - since.getTime() < RECENT_MS;
  // Until the source is ended or thawed, its artifacts lie here: they are fetched, then discarded.
  const source = knownCheckpoints(context.state).find(
    ({ manifest, folder }) => manifest?.owner && isRecent(changedAt(folder)),
  );
  if (source?.manifest) {
    const { namespace, name } = source.manifest.pod;
    return `pod ${namespace}/${name} is moved, or runs on`;
  }
  const target = (await restoreHoldings(context)).find(
    ({ staged, claim, since }) => staged && claim !== Claim.CLAIM_REVOKED && isRecent(since),
  );
  return target ? `the pod ${target.podUid} is restored` : '';
}

function changedAt(folder: string): Date | undefined {
  try {
    return statSync(folder).mtime;
  } catch {
    return undefined;
  }
}
