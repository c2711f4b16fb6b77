/** What migrations leave on nodes and in the API beside finished objects: nothing should be. */
import { readdirSync, readFileSync } from 'node:fs';
import type { KubeClient } from '../../common/kube/client.js';
import type { Cluster } from '../cluster/cluster.js';
import { openCri } from '../cluster/cri.js';
import { group } from '../cluster/node/handle.js';
import { frozen, leftovers } from '../faults/leftovers.js';

/** The images of each node, to be compared with those of another time. */
export async function imagesOf(cluster: Cluster): Promise<string[]> {
  const found: string[] = [];
  for (const node of cluster.nodes) {
    const cri = openCri(node.criSocket);
    try {
      const { images } = await cri.images.listImages({ filter: undefined });
      found.push(
        ...images.flatMap(({ id, repoTags }) =>
          [id, ...repoTags].map((each) => `${node.name}: image ${each}`),
        ),
      );
    } finally {
      cri.close();
    }
  }
  return found.sort();
}

/** Programs that only a checkpoint, a restore or a container's life runs, on any node. */
function helpers(cluster: Cluster): string[] {
  const groups = cluster.nodes.map((node) => group(node.dir, node.name));
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const [, program = ''] = /^Name:\s*(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
        const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
        if (!/^(criu|runc|containerd-shim)/.test(program) && !/lpm-runtime/.test(words)) return [];
        const cgroup = readFileSync(`/proc/${pid}/cgroup`, 'utf8');
        return groups.some((each) => cgroup.includes(each)) ? [`process ${pid}: ${words || program}`] : [];
      } catch {
        return []; // Ended while it was looked at.
      }
    });
}

/** Objects that are done are what is to remain; one that goes on, or that cannot be deleted, is not. */
async function unfinished(kube: KubeClient): Promise<string[]> {
  const kinds = {
    podmigration: kube.podMigrations,
    podcheckpoint: kube.podCheckpoints,
    containercheckpoint: kube.containerCheckpoints,
  };
  const found: string[] = [];
  for (const [kind, client] of Object.entries(kinds)) {
    for (const { metadata, status } of (await client.list()).items) {
      const phase = status?.phase ?? 'without a phase';
      if (phase !== 'Succeeded' && phase !== 'Failed') found.push(`${kind} ${metadata.name} is ${phase}`);
      if (metadata.finalizers?.length) found.push(`${kind} ${metadata.name} has its finalizer`);
      if (metadata.deletionTimestamp) found.push(`${kind} ${metadata.name} is being deleted`);
    }
  }
  return found;
}

/** @param mark of the counter, whose last pod is gone */
export async function remains(
  cluster: Cluster,
  kube: KubeClient,
  mark: string,
  imagesBefore: readonly string[],
): Promise<string[]> {
  const images = await imagesOf(cluster);
  return [
    ...(await leftovers(cluster, kube, mark)).filter(
      (line) => !/^(podmigration|podcheckpoint|containercheckpoint) /.test(line),
    ),
    ...(await unfinished(kube)),
    ...helpers(cluster),
    ...frozen(cluster).map((cgroup) => `${cgroup} is frozen`),
    ...images.filter((each) => !imagesBefore.includes(each)),
    ...imagesBefore.filter((each) => !images.includes(each)).map((each) => `${each} is gone`),
  ];
}
