import type { KubeClient } from '../../common/kube/client.js';
import type { Cluster } from '../cluster/cluster.js';
import { until } from '../support/until.js';

/**
 * A cluster is up when its nodes are ready; their agents and the account of the default namespace's pods may come a moment
 * later, and would be missed by the first case.
 */
export async function readyForPods(cluster: Cluster, kube: KubeClient): Promise<void> {
  const ask =
    "exec 3<>/dev/tcp/127.0.0.1/50052; printf 'GET /readyz HTTP/1.0\\r\\n\\r\\n' >&3; head -n 1 <&3";
  for (const node of cluster.nodes) {
    await until(`the agent on ${node.name} is ready`, async () =>
      (await node.exec(['bash', '-c', ask])).stdout.includes(' 200 '),
    );
  }
  await until('pods may be created', () =>
    kube.json('GET', '/api/v1/namespaces/default/serviceaccounts/default').then(() => true),
  );
}
