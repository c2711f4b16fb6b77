import { API_VERSION } from '../../common/api/names.js';
import type { PodMigration } from '../../common/api/schema.js';
import { ApiError } from '../../common/kube/api-error.js';
import type { KubeClient } from '../../common/kube/client.js';
import { nameFor } from '../object-name.js';

export interface MigrationWish {
  pod: string;
  to?: string;
  /** Name of the restored pod. */
  name?: string;
  tcp?: 'Close' | 'Refuse';
  allowHostPath?: boolean;
  /** Override what is a judgement. */
  force?: boolean;
  /** Only look. */
  preflightOnly?: boolean;
  timeoutMs: number;
}

/** The object for a wish, under a name of its own. */
export function migrationFor(namespace: string, wish: MigrationWish): PodMigration {
  return {
    apiVersion: API_VERSION,
    kind: 'PodMigration',
    metadata: { name: nameFor(wish.pod), namespace },
    spec: {
      podName: wish.pod,
      ...(wish.to === undefined ? {} : { targetNode: wish.to }),
      ...(wish.name === undefined ? {} : { restoredPodName: wish.name }),
      ...(wish.tcp === undefined ? {} : { tcp: wish.tcp }),
      ...(wish.allowHostPath ? { allowHostPath: true } : {}),
      ...(wish.force ? { force: true } : {}),
      // An older controller, which does not know the first, takes it for one that was canceled.
      ...(wish.preflightOnly ? { preflightOnly: true, cancel: true } : {}),
      timeoutSeconds: Math.ceil(wish.timeoutMs / 1000),
    },
  };
}

export async function createMigration(
  client: KubeClient,
  namespace: string,
  wish: MigrationWish,
): Promise<PodMigration> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await client.podMigrations.create(migrationFor(namespace, wish), namespace);
    } catch (error) {
      // Five random letters may meet a namesake.
      if (!(error instanceof ApiError && error.isAlreadyExists && attempt < 3)) throw error;
    }
  }
}
