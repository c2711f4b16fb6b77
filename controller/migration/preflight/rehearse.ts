/**
 * Asks the API server whether it would take the target pod, without its being made (dryRun=All): quotas, policies and
 * webhooks of the cluster answer as they would for the real one.
 */
import { ApiError } from '../../../common/kube/api-error.js';
import { targetPod } from '../../../common/pods/target-pod.js';
import type { Parts } from '../../parts.js';
import { checks } from '../checks.js';
import { answer } from '../collect-facts.js';
import { differences } from '../difference.js';
import type { Answer, MigrationFacts } from '../facts.js';
import { targetName, targetPlan } from '../plan.js';
import { rejectedPod } from '../rejected-pod.js';

export interface Rehearsal {
  name: string;
  /** In what the restored pod would differ from the source. */
  changes: string[];
  /** What the cluster would change in it. */
  differences: string[];
  /** Why it could not be tried. */
  untried?: string;
}

/** Undefined where something else speaks against the migration already. */
export async function rehearse(
  { client }: Parts,
  facts: MigrationFacts,
): Promise<Answer<Rehearsal> | undefined> {
  const { migration, pod } = facts;
  const { refusals, candidates } = checks(facts);
  if (refusals.length > 0 || !pod) return undefined;
  const name = targetName(facts, pod);
  const asked = targetPod(pod, migration, targetPlan(migration, name, candidates));
  const { changes } = asked;
  return answer(async () => {
    try {
      const made = await client.pods.create(asked.pod, migration.metadata.namespace, { dryRun: 'All' });
      return { name, changes, differences: differences(asked.pod, made) };
    } catch (error) {
      if (!(error instanceof ApiError) || error.isTransient) throw error;
      // A webhook that has effects elsewhere and does not tell whether it can do without them is not asked in a dry run.
      if (/does not support dry run/.test(error.message)) {
        return { name, changes, differences: [], untried: error.message };
      }
      throw rejectedPod(name, error);
    }
  });
}
