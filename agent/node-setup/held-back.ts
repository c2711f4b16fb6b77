import type { FileChange } from './plan.js';

/**
 * Why a registration that stands must not be changed now; empty when it may. The runtime asks the handler of a registration for the
 * state of its containers. With another runtime behind it, or another root, it is told that they do not exist, takes them for
 * ended, and the kubelet creates them anew: what was restored would be lost (seen with CRI-O 1.36).
 *
 * @param pods how many run under the handler
 */
export function heldBack(changes: readonly FileChange[], handlerPath: string, pods: number): string {
  if (pods === 0) return '';
  const standing = changes.find(
    ({ path, before = '' }) => before.includes(handlerPath) || /\/etc\/runtime$/.test(path),
  );
  if (!standing) return '';
  return `The node's own runtime has changed, and ${standing.path} is to follow it when no restored pod runs here any more (${pods} now): they would be lost by it.`;
}
