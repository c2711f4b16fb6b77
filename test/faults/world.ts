/** A cluster of the test build with somebody who starts again what dies. */
import type { KubeClient } from '../../common/kube/client.js';
import { clusterUp, type Cluster } from '../cluster/cluster.js';
import { Faults } from './arm.js';
import { readyForPods } from './ready.js';
import { superviseController } from './supervisor.js';

export interface World {
  cluster: Cluster;
  kube: KubeClient;
  faults: Faults;
  /** Folder for the logs of what went wrong. */
  logs: string;
  /** The cluster stays. */
  leave(): Promise<void>;
}

export async function startWorld(dir: string): Promise<World> {
  const cluster = await clusterUp({ dir, faults: true });
  const kube = cluster.client();
  await readyForPods(cluster, kube);
  const endSupervision = superviseController(cluster);
  return {
    cluster,
    kube,
    faults: new Faults(cluster),
    logs: `${dir}-logs`,
    leave: async () => {
      await endSupervision();
      kube.close();
    },
  };
}
