import type { PodMigration } from '../common/api/schema.js';
import { ApiError } from '../common/kube/api-error.js';
import type { KubeClient } from '../common/kube/client.js';
import { CliError } from './cli-error.js';

/** A status that is written often makes the version that was looked at old again and again. */
const ATTEMPTS = 20;

/**
 * Changes the spec of a migration, provided that nothing that was judged has changed: it is looked at once more, judged
 * (`judge` throws when it is not possible any more), and written only if it is still what was looked at.
 */
export async function changeMigration(
  client: KubeClient,
  { metadata }: PodMigration,
  spec: Partial<PodMigration['spec']>,
  judge: (migration: PodMigration) => void,
): Promise<PodMigration> {
  const { name, namespace, uid } = metadata;
  for (let attempt = 1; ; attempt++) {
    const now = await client.podMigrations.find(name, namespace);
    if (!now || now.metadata.uid !== uid) {
      throw new CliError(`The migration ${name} was deleted meanwhile; nothing was changed.`);
    }
    judge(now);
    const { resourceVersion } = now.metadata;
    try {
      return await client.podMigrations.patch(name, namespace, {
        metadata: { ...(resourceVersion ? { resourceVersion } : {}) },
        spec,
      });
    } catch (error) {
      if (!(error instanceof ApiError && error.isConflict && attempt < ATTEMPTS)) throw error;
    }
  }
}
