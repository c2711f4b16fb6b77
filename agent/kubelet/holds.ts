import { LpmError } from '../../common/errors.js';
import type { Host } from '../host.js';

/**
 * Checks that an archive is of the very container that was meant: the kubelet was told its name only, and a container that was
 * restarted in between has the same one.
 *
 * @param path on the node
 * @throws SourceChanged, ArtifactInvalid
 */
export async function checkHolds(
  host: Host,
  path: string,
  container: { name: string; containerId: string },
): Promise<void> {
  // Names of the kubelet's archives hold colons, which GNU tar takes for a machine's name.
  const config = await host.must('ArtifactInvalid', `The archive ${path} holds no config.dump`, [
    'tar',
    '--force-local',
    '--occurrence=1',
    '-xOf',
    path,
    'config.dump',
  ]);
  let id: unknown;
  try {
    ({ id } = JSON.parse(config) as { id?: unknown });
  } catch (error) {
    throw new LpmError('ArtifactInvalid', `The config.dump in the archive ${path} is not JSON.`, {
      cause: error,
    });
  }
  if (id === container.containerId) return;
  throw new LpmError(
    'SourceChanged',
    `The kubelet saved container ${String(id).slice(0, 12)}, not ${container.containerId.slice(0, 12)}: ${container.name} was restarted meanwhile.`,
    { hint: 'Make another checkpoint.' },
  );
}
