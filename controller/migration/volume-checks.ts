/** Which volumes of a pod arrive with it. DESIGN section 6. */
import type { Pod } from '../../common/kube/types.js';
import { refusal, type Refusal } from './facts.js';

type Volume = NonNullable<NonNullable<Pod['spec']>['volumes']>[number];

/** Volumes whose contents the target gets by itself or that are copied. */
const CARRIED = new Set(['emptyDir', 'configMap', 'secret', 'projected', 'downwardAPI']);

/** Folders that describe a node itself or hold its sockets and pods: those of two nodes are never the same. */
const OF_ONE_NODE = ['/proc', '/sys', '/dev', '/run', '/var/run', '/var/lib/kubelet'];
/** Types of hostPath behind which there is no data that could be the same. */
const NO_DATA = /^(Socket|CharDevice|BlockDevice)$/;

/**
 * @param allowHostPath somebody states that the folders of the node hold the same data on the target. Were it not so, CRIU would
 * not find the files that are open and fail, and the migration be rolled back; files that no process holds open are not compared.
 */
export function volumeRefusals(
  volumes: readonly Volume[],
  { allowHostPath }: { allowHostPath: boolean } = { allowHostPath: false },
): Refusal[] {
  return volumes.flatMap((volume) => volumeRefusal(volume, allowHostPath) ?? []);
}

export function hostPathWarnings(volumes: readonly Volume[]): string[] {
  return volumes.flatMap(({ name, hostPath }) =>
    hostPath
      ? [
          `Volume ${name} is the folder ${hostPath.path} of the node: nothing of it is copied, it is taken for the same on the target because spec.allowHostPath says so.`,
        ]
      : [],
  );
}

function volumeRefusal(volume: Volume, allowHostPath: boolean): Refusal | undefined {
  const kind = Object.keys(volume).find((key) => key !== 'name') ?? 'emptyDir';
  if (volume.hostPath) {
    if (isOfOneNode(volume.hostPath)) {
      return refusal(
        'PodNotSupported',
        `Volume ${volume.name} is ${volume.hostPath.path} of the node (hostPath), which is never the same on another node.`,
        'A pod that works on its node belongs to a DaemonSet.',
      );
    }
    if (allowHostPath) return undefined;
    return refusal(
      'PodNotSupported',
      `Volume ${volume.name} is a folder of the node (hostPath): the other node has another one.`,
      'Use an emptyDir or a network volume. If both nodes have the same data there, say so with spec.allowHostPath (--allow-host-path).',
    );
  }
  if (!CARRIED.has(kind)) {
    return refusal(
      'NotSupportedYet',
      `Volume ${volume.name} is a ${kind}; such volumes are not supported yet.`,
      'Supported are emptyDir, configMap, secret, projected and downwardAPI.',
    );
  }
  if (volume.emptyDir?.medium?.startsWith('HugePages')) {
    return refusal(
      'NotSupportedYet',
      `Volume ${volume.name} consists of huge pages; that is not supported yet.`,
    );
  }
  return undefined;
}

function isOfOneNode({ path, type }: NonNullable<Volume['hostPath']>): boolean {
  if (NO_DATA.test(type ?? '')) return true;
  const clean = `/${path.split('/').filter(Boolean).join('/')}`;
  return clean === '/' || OF_ONE_NODE.some((folder) => clean === folder || clean.startsWith(`${folder}/`));
}
