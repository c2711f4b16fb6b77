import { lstatSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { LpmError } from '../../common/errors.js';
import type { Host } from '../host.js';
import { findProgram, type OciContainer, type OciSpec } from '../oci.js';
import { externalMounts, parseMounts, type ContainerFiles } from './external.js';
import { hideByTmpfs } from './hidden-folders.js';

export interface DumpCommand {
  argv: [string, ...string[]];
  /** Makes of what was dumped what runc restores. */
  finish: () => Promise<void>;
}

/**
 * How a container that crun runs is dumped: by CRIU itself, told what runc would tell it, for it is runc that restores it. crun's own
 * way would need a crun that was built with CRIU (many are not), and leaves images that only crun restores.
 *
 * @param images folder for CRIU's images
 * @param work folder for its log
 * @throws CriuMissing
 */
export async function crunDump(
  host: Host,
  container: OciContainer,
  { images, work }: { images: string; work: string },
): Promise<DumpCommand> {
  const criu = await findProgram(host, 'criu');
  if (!criu) {
    throw new LpmError('CriuMissing', 'CRIU is not installed on this node.', {
      hint: 'Install CRIU 4.1 or newer.',
    });
  }
  for (const folder of [images, work]) await mkdir(folder, { recursive: true, mode: 0o700 });
  writeFileSync(join(images, 'descriptors.json'), streamsOf(host, container), { mode: 0o600 });
  const { mounts, hiddenFolders } = externalMounts(
    container.spec,
    parseMounts(readFileSync(`/proc/${container.pid}/mountinfo`, 'utf8')),
    filesOf(container.pid),
  );
  const external = [
    ...mounts.map(({ mountpoint, key }) => `mnt[${mountpoint}]:${key}`),
    ...namespacesOf(container.spec, (kind) => statSync(`/proc/${container.pid}/ns/${kind}`).ino),
  ];
  return {
    argv: [
      criu,
      'dump',
      ...['--tree', String(container.pid)],
      ...['--images-dir', images, '--work-dir', work, '--log-file', 'dump.log', '-v4'],
      '--leave-running',
      ...['--freeze-cgroup', container.freezer.dir.slice(host.path('').length)],
      ...['--manage-cgroups=ignore', '--file-locks', '--ext-unix-sk'],
      ...external.flatMap((each) => ['--external', each]),
    ],
    finish: () => hideByTmpfs(images, hiddenFolders),
  };
}

/**
 * Namespaces of the pod's that the container has joined, under the keys that runc gives when it restores.
 *
 * @param inode of the container's namespace of a kind
 */
export function namespacesOf(spec: OciSpec, inode: (kind: string) => number): string[] {
  const keys: Readonly<Record<string, [string, string]>> = {
    network: ['net', 'extRootNetNS'],
    pid: ['pid', 'extRootPidNS'],
  };
  return (spec.linux?.namespaces ?? []).flatMap(({ type, path }) => {
    const known = keys[type];
    return known && path ? [`${known[0]}[${inode(known[0])}]:${known[1]}`] : [];
  });
}

/** Where stdin, stdout and stderr of the container's first process went when it was started: a list in JSON, as runc's too. */
function streamsOf(host: Host, { runtimeRoot, id }: OciContainer): string {
  const status = JSON.parse(readFileSync(host.path(join(runtimeRoot, id, 'status')), 'utf8')) as {
    external_descriptors?: string;
  };
  return status.external_descriptors ?? '[]';
}

function filesOf(pid: number): ContainerFiles {
  const here = (path: string): string => `/proc/${pid}/root${path}`;
  const look = <T>(ask: () => T): T | undefined => {
    try {
      return ask();
    } catch {
      return undefined;
    }
  };
  return {
    isFolder: (path) => look(() => lstatSync(here(path)).isDirectory()) ?? false,
    readlink: (path) => look(() => readlinkSync(here(path))),
  };
}
