/** Checkpoints that tests make and wait for. */
import type { ContainerCheckpoint, PodCheckpoint } from '../../common/api/schema.js';
import { eventually, type Rig } from './rig.js';

export function takePod(
  rig: Rig,
  name: string,
  podName: string,
  spec: Partial<PodCheckpoint['spec']> = {},
): Promise<PodCheckpoint> {
  return rig.client.podCheckpoints.create(
    { metadata: { name, namespace: 'default' }, spec: { podName, ...spec } },
    'default',
  );
}

export function takeContainer(
  rig: Rig,
  name: string,
  podName: string,
  containerName: string,
  spec: Partial<ContainerCheckpoint['spec']> = {},
): Promise<ContainerCheckpoint> {
  return rig.client.containerCheckpoints.create(
    { metadata: { name, namespace: 'default' }, spec: { podName, containerName, ...spec } },
    'default',
  );
}

const isOver = ({ status }: PodCheckpoint | ContainerCheckpoint) =>
  status?.phase === 'Succeeded' || status?.phase === 'Failed';

export function ended(rig: Rig, name: string): Promise<PodCheckpoint> {
  return eventually(`PodCheckpoint ${name} ends`, async () => {
    const live = await rig.client.podCheckpoints.get(name, 'default');
    return isOver(live) ? live : undefined;
  });
}

export function endedContainer(rig: Rig, name: string): Promise<ContainerCheckpoint> {
  return eventually(`ContainerCheckpoint ${name} ends`, async () => {
    const live = await rig.client.containerCheckpoints.get(name, 'default');
    return isOver(live) ? live : undefined;
  });
}
