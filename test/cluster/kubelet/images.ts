import type { Cri } from '../cri.js';
import type { Backoff } from './backoff.js';
import type { EventRecorder } from './events.js';
import { uidOf, type ContainerSpec, type Pod } from './pod.js';

/** An image is not there. `reason` is the container's waiting reason. */
export class ImageError extends Error {
  constructor(
    readonly reason: 'ErrImagePull' | 'ImagePullBackOff' | 'ErrImageNeverPull' | 'InvalidImageName',
    message: string,
    /** Milliseconds until it is worth looking again. */
    readonly retryInMs: number,
  ) {
    super(message);
  }
}

/** `Always` for :latest or no tag, else `IfNotPresent`, where the pod says nothing. */
export function pullPolicy(container: ContainerSpec): string {
  if (container.imagePullPolicy) return container.imagePullPolicy;
  const name = (container.image ?? '').split('/').pop() ?? '';
  return name.includes('@') || (name.includes(':') && !name.endsWith(':latest')) ? 'IfNotPresent' : 'Always';
}

/**
 * Makes sure that the node has the container's image, and answers its ID. There is no registry in the local cluster:
 * a pull finds what was loaded, and fails with the way to load it.
 */
export async function ensureImage(
  cri: Cri,
  pod: Pod,
  container: ContainerSpec,
  backoff: Backoff,
  events: EventRecorder,
): Promise<string> {
  const image = container.image ?? '';
  const key = `image/${uidOf(pod)}/${image}`;
  const { image: found } = await cri.images.imageStatus({
    image: { image, annotations: {}, userSpecifiedImage: image, runtimeHandler: '' },
    verbose: false,
  });
  const policy = pullPolicy(container);
  if (found) {
    backoff.forget(key);
    const text =
      policy === 'Always'
        ? `Container image "${image}" already present on machine (the local cluster has no registry to pull from)`
        : `Container image "${image}" already present on machine`;
    events.record(pod, 'Normal', 'Pulled', text, container);
    return found.id;
  }
  if (policy === 'Never') {
    const message = `Container image "${image}" is not present with pull policy of Never`;
    events.record(pod, 'Warning', 'ErrImageNeverPull', message, container);
    throw new ImageError('ErrImageNeverPull', message, 10_000);
  }
  const failure =
    'the local cluster has no registry, and the image was not loaded; ' +
    'load it with: npm run cluster -- load IMAGE.tar';
  const wait = backoff.remaining(key, lastFailure.get(key) ?? 0);
  if (wait > 0) {
    const message = `Back-off pulling image "${image}": ErrImagePull: ${failure}`;
    events.record(pod, 'Normal', 'BackOff', `Back-off pulling image "${image}"`, container);
    throw new ImageError('ImagePullBackOff', message, Math.min(wait, 2000));
  }
  events.record(pod, 'Normal', 'Pulling', `Pulling image "${image}"`, container);
  events.record(pod, 'Warning', 'Failed', `Failed to pull image "${image}": ${failure}`, container);
  events.record(pod, 'Warning', 'Failed', 'Error: ErrImagePull', container);
  backoff.attempted(key);
  lastFailure.set(key, Date.now());
  throw new ImageError('ErrImagePull', `failed to pull image "${image}": ${failure}`, 2000);
}

const lastFailure = new Map<string, number>();
