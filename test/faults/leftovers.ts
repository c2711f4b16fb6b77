/** What is left of pods on the nodes and in the API when all pods and migrations of a case are deleted: nothing should be. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { KubeClient } from '../../common/kube/client.js';
import type { Cluster } from '../cluster/cluster.js';
import { openCri } from '../cluster/cri.js';
import { cgroupDirs } from '../cluster/node/cgroups.js';
import { group, type NodeHandle } from '../cluster/node/handle.js';
import { copiesOf, frozenBelow, subfolders } from './copies.js';

/** One line for each thing that is there. */
export async function leftovers(cluster: Cluster, kube: KubeClient, mark: string): Promise<string[]> {
  const onNodes = await Promise.all(cluster.nodes.map(onNode));
  return [
    ...copiesOf(mark).map(({ cgroup }) => `processes in ${cgroup}`),
    ...onNodes.flat(),
    ...(await objects(kube)),
  ];
}

/** Standing still in a cgroup of a node. */
export const frozen = (cluster: Cluster): string[] =>
  cluster.nodes.flatMap((node) => cgroupDirs(group(node.dir, node.name)).flatMap(frozenBelow));

async function onNode(node: NodeHandle): Promise<string[]> {
  const { name, dir } = node;
  const cri = openCri(node.criSocket);
  const found: string[] = [];
  try {
    const { items } = await cri.runtime.listPodSandbox({ filter: undefined });
    const { containers } = await cri.runtime.listContainers({ filter: undefined });
    found.push(...items.map(({ id }) => `sandbox ${id.slice(0, 12)}`));
    found.push(...containers.map(({ id }) => `container ${id.slice(0, 12)}`));
  } finally {
    cri.close();
  }
  found.push(...subfolders(join(dir, 'var/lib/kubelet/pods')).map((uid) => `kubelet's folder of pod ${uid}`));
  for (const cgroups of cgroupDirs(group(dir, name))) {
    for (const at of ['kubepods', 'kubepods/burstable', 'kubepods/besteffort']) {
      found.push(
        ...subfolders(join(cgroups, at))
          .filter((each) => each.startsWith('pod'))
          .map((each) => `cgroup ${join(cgroups, at, each)}`),
      );
    }
  }
  const mounts = readFileSync(`/proc/${node.init.pid}/mountinfo`, 'utf8');
  for (const line of mounts.split('\n')) {
    const point = line.split(' ')[4] ?? '';
    if (/^\/var\/lib\/kubelet\/pods\/|^\/run\/containerd\/io\.containerd/.test(point))
      found.push(`mount ${point}`);
  }
  const state = join(dir, 'var/lib/lpm');
  found.push(
    ...readdirSync(join(state, 'artifacts'))
      .filter(isData)
      .map((each) => `artifacts ${each}`),
  );
  for (const uid of subfolders(join(state, 'pods'))) {
    const pod = join(state, 'pods', uid);
    if (subfolders(pod).includes('incoming')) found.push(`arrived artifacts of pod ${uid}`);
    for (const container of subfolders(join(pod, 'containers'))) {
      if (subfolders(join(pod, 'containers', container)).includes('stage'))
        found.push(`stage of pod ${uid}/${container}`);
    }
  }
  return found.map((line) => `${name}: ${line}`);
}

/** Marks that say what must not happen any more stay; they hold no data. */
const isData = (name: string): boolean => !name.endsWith('.thawed');

async function objects(kube: KubeClient): Promise<string[]> {
  const kinds = {
    pod: kube.pods,
    podmigration: kube.podMigrations,
    podcheckpoint: kube.podCheckpoints,
    containercheckpoint: kube.containerCheckpoints,
    podcheckpointcontent: kube.podCheckpointContents,
    containercheckpointcontent: kube.containerCheckpointContents,
  };
  const found: string[] = [];
  for (const [kind, client] of Object.entries(kinds)) {
    const { items } = await client.list();
    found.push(...items.map(({ metadata }) => `${kind} ${metadata.name}`));
  }
  return found;
}
