import type { Pod } from '../resources/pod-types.js';
import { badRequest } from '../status-error.js';

/** The container that a request is about: the one it names, else the only one there is. */
export function containerOf(pod: Pod, asked: string | null): string {
  const { containers, initContainers = [], ephemeralContainers = [] } = pod.spec;
  const { name } = pod.metadata;
  if (asked) {
    const all = [...containers, ...initContainers, ...ephemeralContainers];
    if (all.some((container) => container.name === asked)) return asked;
    throw badRequest(`container ${asked} is not valid for pod ${name}`);
  }
  if (containers.length === 1) return containers[0]!.name;
  const names = containers.map((container) => container.name).join(' ');
  const init = initContainers.map((container) => container.name).join(' ');
  throw badRequest(
    `a container name must be specified for pod ${name}, choose one of: [${names}]${init ? ` or one of the init containers: [${init}]` : ''}`,
  );
}
