/** Deployment (k8s.io/kubernetes/pkg/controller/deployment): ReplicaSets that replace each other. */
import { ApiError } from '../../../common/kube/api-error.js';
import type { Pod } from '../../../common/kube/types.js';
import type { Requeue } from '../../../controller/queue.js';
import { sameJson } from '../apiserver/kube-object.js';
import { controlledBy, inNamespace, ownerKeys, controllerOf } from './caches.js';
import { claim, claims } from './claim.js';
import { decideDeployment, type DeploymentAction } from './deployment-decide.js';
import { nextCheckMs } from './deployment-status.js';
import { keyOfChange } from './replicaset.js';
import type { Controller, Shell } from './shell.js';
import type { Deployment, ReplicaSet } from './types.js';

export function deploymentController(shell: Shell): Controller {
  const { caches, clients, events } = shell;
  const name = 'deployment-controller';

  async function sync(key: string): Promise<Requeue | void> {
    const deployment = caches.deployments.get(key);
    if (!deployment) return;
    const selector = deployment.spec?.selector;
    const candidates = inNamespace(caches.replicaSets, deployment.metadata.namespace);
    const claimed = claims(deployment, selector, candidates);
    const sets = await claim(clients.deployments as never, clients.replicaSets, deployment, claimed);
    const podsOf = new Map(
      sets.map((rs): [string, Pod[]] => [rs.metadata.uid!, controlledBy(caches.pods, rs)]),
    );
    const now = shell.now();
    for (const action of decideDeployment(deployment, sets, podsOf, now)) await act(deployment, action);
    return { afterMs: nextCheckMs(deployment, now) };
  }

  async function act(deployment: Deployment, action: DeploymentAction): Promise<void> {
    const { namespace } = deployment.metadata;
    switch (action.do) {
      case 'create':
        if (!(await create(deployment, action.replicaSet))) return;
        break;
      case 'update':
        await clients.replicaSets.replace(action.replicaSet);
        break;
      case 'delete':
        await clients.replicaSets.delete(action.replicaSet.metadata.name, namespace);
        break;
      case 'status': {
        const current = { ...deployment, status: { ...deployment.status } };
        if (!sameJson(current, action.deployment)) await clients.deployments.replaceStatus(action.deployment);
        break;
      }
    }
    if ('event' in action && action.event) {
      const about = { ...deployment, apiVersion: 'apps/v1', kind: 'Deployment' };
      events.tell(name, about, 'Normal', 'ScalingReplicaSet', action.event);
    }
  }

  /** False when it was there already: the copy has not shown it yet. */
  async function create(deployment: Deployment, rs: ReplicaSet): Promise<boolean> {
    const { namespace } = deployment.metadata;
    try {
      await clients.replicaSets.create(rs, namespace);
      return true;
    } catch (error) {
      if (!(error instanceof ApiError) || !error.isAlreadyExists) throw error;
      const there = await clients.replicaSets.get(rs.metadata.name, namespace);
      if (controllerOf(there)?.uid === deployment.metadata.uid) return false;
      // Somebody else has the name: the next one hashes differently.
      const collisionCount = (deployment.status?.collisionCount ?? 0) + 1;
      await clients.deployments.replaceStatus({
        ...deployment,
        status: { ...deployment.status, collisionCount },
      });
      throw error;
    }
  }

  return {
    name,
    sync,
    keysOf(change) {
      if (change.kind === 'Deployment') return [keyOfChange(change)];
      if (change.kind === 'Pod') return keysOfPod(change.object ? undefined : change.old);
      if (change.kind !== 'ReplicaSet') return [];
      const keys = ownerKeys('Deployment', change);
      const rs = change.object;
      if (keys.length > 0 || !rs || controllerOf(rs)) return keys;
      return caches.deployments
        .list()
        .filter((one) => one.metadata.namespace === rs.metadata.namespace)
        .filter((one) => claims(one, one.spec?.selector, [rs]).adopt.length > 0)
        .map((one) => `${one.metadata.namespace}/${one.metadata.name}`);
    },
  };

  /** Recreate waits for the last pod to go; nothing else looks at pods. */
  function keysOfPod(gone: unknown): string[] {
    const owner = gone ? controllerOf(gone as Pod) : undefined;
    if (owner?.kind !== 'ReplicaSet') return [];
    const { namespace } = (gone as Pod).metadata;
    const rs = caches.replicaSets.get(`${namespace}/${owner.name}`);
    const deployment = rs && controllerOf(rs);
    return deployment?.kind === 'Deployment' ? [`${namespace}/${deployment.name}`] : [];
  }
}
