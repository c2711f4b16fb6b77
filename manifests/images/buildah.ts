/**
 * buildah (https://buildah.io), installed on demand, with a storage of its own in the cache. Commands run in a plain chroot
 * (`--isolation chroot`): no container runtime, no daemon and no user namespaces are needed, so it works inside containers too.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { installPackages, type Say } from '../../test/cluster/debian-root.js';
import { cacheDir } from '../../test/cluster/paths.js';
import { must, run } from '../../test/cluster/run.js';

export interface Buildah {
  /** Runs a command of buildah's and answers its stdout. @throws with what it said. */
  (...args: string[]): Promise<string>;
}

export async function openBuildah(say: Say): Promise<Buildah> {
  if (process.getuid?.() !== 0) {
    throw new Error('Building images needs root: files of the images belong to root. Try sudo.');
  }
  if ((await run('buildah', ['--version']).catch(() => ({ code: 127 }))).code !== 0) {
    say('installing buildah with apt-get');
    await installPackages(['buildah']);
  }
  const storage = join(cacheDir, 'buildah');
  mkdirSync(storage, { recursive: true });
  const driver = (await overlayWorks(storage)) ? 'overlay' : 'vfs';
  const where = [
    ...['--root', join(storage, driver)],
    ...['--runroot', join(storage, `${driver}-run`)],
    ...['--storage-driver', driver],
  ];
  return (...args) => must('buildah', [...where, ...args]);
}

/** Whether an overlay can be mounted on the cache's file system: not where that is an overlay itself. */
async function overlayWorks(folder: string): Promise<boolean> {
  const script =
    'cd "$1" && rm -rf probe && mkdir -p probe/l probe/u probe/w probe/m && cd probe && ' +
    'mount -t overlay overlay -o lowerdir=l,upperdir=u,workdir=w m';
  return (await run('unshare', ['--mount', 'sh', '-c', script, 'sh', folder])).code === 0;
}
