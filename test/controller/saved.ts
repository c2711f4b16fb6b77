/** A saved checkpoint of a pod, made by hand as the controller leaves one: for tests of what is done with it. */
import { secondsTime } from '../../controller/status/conditions.js';
import type { ContainerCheckpointContent, PodCheckpointContent } from '../../common/api/schema.js';
import type { Pod } from '../../common/kube/types.js';
import { containerContentName, podContentName } from '../../controller/checkpoint/names.js';
import type { Rig } from './rig.js';

export interface Contents {
  podContent: PodCheckpointContent['spec'];
  content: ContainerCheckpointContent['spec'];
}

/**
 * Makes PodCheckpoint `name` of a running pod, and what belongs to it. No controller runs meanwhile, or it would take the
 * checkpoint itself. Returns the UID of the PodCheckpoint.
 */
export async function saveCheckpoint(
  rig: Rig,
  name: string,
  pod: Pod,
  change: (contents: Contents) => void = () => {},
): Promise<string> {
  await rig.controller.stop();
  const { client } = rig;
  const { uid: podUID = '', name: podName, labels = {} } = pod.metadata;
  const nodeName = pod.spec!.nodeName!;
  const container = pod.spec!.containers[0]!;
  const checkpoint = await client.podCheckpoints.create(
    { metadata: { name, namespace: 'default' }, spec: { podName } },
    'default',
  );
  const uid = checkpoint.metadata.uid!;
  const child = await client.containerCheckpoints.create(
    {
      metadata: {
        name: `${name}-${container.name}`,
        namespace: 'default',
        ownerReferences: [
          { apiVersion: 'lpm.my.domain/v1', kind: 'PodCheckpoint', name, uid, controller: true },
        ],
      },
      spec: { podName, containerName: container.name },
    },
    'default',
  );
  const childUid = child.metadata.uid!;
  const podTemplate = { metadata: { labels }, spec: pod.spec as unknown as Record<string, unknown> };
  const origin = { deletionPolicy: 'Delete' as const, nodeName, podName, podUID, podTemplate };
  const specs: Contents = {
    podContent: {
      podCheckpointRef: { namespace: 'default', name, uid },
      containerCheckpointContents: [containerContentName(childUid)],
      ...origin,
    },
    content: {
      containerCheckpointRef: { namespace: 'default', name: child.metadata.name, uid: childUid },
      artifactURI: `shared://${podUID}-${container.name}-2030-01-01T00:00:00Z.tar`,
      containerName: container.name,
      image: container.image!,
      imageRef: 'sha256:simulated',
      sizeBytes: 4096,
      sha256: 'ab'.repeat(32),
      via: 'Agent',
      restorable: true,
      ...origin,
    },
  };
  change(specs);
  await client.containerCheckpointContents.create({
    metadata: { name: containerContentName(childUid) },
    spec: specs.content,
  });
  await client.podCheckpointContents.create({
    metadata: { name: podContentName(uid) },
    spec: specs.podContent,
  });
  const status = {
    phase: 'Succeeded' as const,
    nodeName,
    podUID,
    completionTime: secondsTime(Date.now()),
  };
  await client.containerCheckpoints.replaceStatus({
    ...child,
    status: { ...status, boundContentName: containerContentName(childUid) },
  });
  await client.podCheckpoints.replaceStatus({
    ...checkpoint,
    status: { ...status, boundContentName: podContentName(uid), containerCheckpoints: [child.metadata.name] },
  });
  await rig.startController();
  return uid;
}
