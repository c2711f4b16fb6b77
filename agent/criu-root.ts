import { existsSync, rmdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Context } from './context.js';

/**
 * runc mounts the root file system of what it restores once more, below its own state (ROOT/ID/criu-root), and takes that away when
 * CRIU has ended. A runc that was killed leaves it, and with it the container's layer would stay mounted until the node is rebooted.
 * Only for a container of which nothing lives.
 */
export async function removeCriuRoot(
  { host, runtimeRoots }: Pick<Context, 'host' | 'runtimeRoots'>,
  containerId: string,
): Promise<void> {
  if (containerId === '' || basename(containerId) !== containerId || containerId.startsWith('.')) return;
  for (const root of runtimeRoots) {
    const folder = join(root, containerId);
    const mounted = join(folder, 'criu-root');
    if (!existsSync(host.path(mounted))) continue;
    // Lazily: a process that is about to end may still stand in it. One that is not mounted any more is only a folder.
    await host.run(['umount', '-l', mounted]);
    for (const each of [mounted, folder]) {
      try {
        rmdirSync(host.path(each));
      } catch {
        // Of a container that runc knows, `runc delete` removes the rest.
      }
    }
  }
}
