import { RUNTIME_CLASS } from '../../common/api/names.js';
import type { StatusResponse } from '../../proto/gen/runtime/v1/cri.js';

/**
 * Whether the runtime that answered knows the handler: containerd 2 and CRI-O (1.31) list their handlers, containerd 1.7 prints its
 * configuration. undefined: it tells neither.
 */
export function offersHandler({ runtimeHandlers, info }: StatusResponse): boolean | undefined {
  if (runtimeHandlers.length > 0) return runtimeHandlers.some(({ name }) => name === RUNTIME_CLASS);
  if (!info.config) return undefined;
  const { containerd } = JSON.parse(info.config) as { containerd?: { runtimes?: Record<string, unknown> } };
  return containerd?.runtimes === undefined ? undefined : containerd.runtimes[RUNTIME_CLASS] !== undefined;
}
