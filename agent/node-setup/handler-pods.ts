import { readFileSync, readdirSync } from 'node:fs';
import { RUNTIME_CLASS } from '../../common/api/names.js';
import type { PodSandbox } from '../../proto/gen/runtime/v1/cri.js';
import type { Cri } from '../cri.js';
import { HANDLER_PATH } from './names.js';

/** Sandboxes of the pods that run with the handler. */
export async function handlerPods(cri: Pick<Cri, 'readySandboxes'>): Promise<PodSandbox[]> {
  return withHandler(await cri.readySandboxes(), callersOfHandler());
}

/**
 * containerd says of each sandbox which handler it has. CRI-O does not (seen with 1.36), but its monitors live as long as their
 * containers, and name the handler and their pod on their command line.
 *
 * @param callers command lines of the processes that name the handler's program
 */
export function withHandler(
  sandboxes: readonly PodSandbox[],
  callers: readonly (readonly string[])[],
): PodSandbox[] {
  return sandboxes.filter(({ runtimeHandler, metadata }) => {
    if (runtimeHandler !== '') return runtimeHandler === RUNTIME_CLASS;
    const uid = metadata?.uid;
    return Boolean(uid) && callers.some((argv) => argv.some((word) => word.includes(uid!)));
  });
}

function callersOfHandler(): string[][] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const argv = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
        return argv.includes(HANDLER_PATH) ? [argv] : [];
      } catch {
        return [];
      }
    });
}
