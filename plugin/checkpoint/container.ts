import type { Pod } from '../../common/kube/types.js';
import { CliError } from '../cli-error.js';
import { either, near } from '../text/suggest.js';

/** Throws CliError when the pod has no such container. */
export function judgeContainer(name: string, pod: Pod, container: string): void {
  const names = (pod.spec?.containers ?? []).map((one) => one.name);
  if (names.includes(container)) return;
  const isInit = pod.spec?.initContainers?.some((one) => one.name === container);
  if (isInit) {
    throw new CliError(
      `"${container}" is an init container of pod ${name}: it has ended before the pod ran.`,
      [`Its containers: ${names.join(', ')}`],
    );
  }
  const similar = near(container, names);
  throw new CliError(`The pod ${name} has no container "${container}".`, [
    similar.length > 0 ? `Did you mean ${either(similar)}?` : `Its containers: ${names.join(', ')}`,
  ]);
}
