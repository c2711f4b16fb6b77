/** Looks for what a local cluster has left on this machine: everything that it makes is named after its folder, or was born of its `up`. */
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { layoutOf, nodePlans } from '../cluster/layout.js';
import { hierarchies } from '../cluster/node/cgroups.js';
import { topGroup } from '../cluster/node/handle.js';

/**
 * One line for each process, mount, cgroup, network link, socket, loop device, file and folder of the cluster in `dir` that is there.
 *
 * @param mark a variable that was in the environment of the cluster's `up`, NAME=VALUE: finds processes that nothing else names.
 */
export function leftovers(dir: string, mark?: string): string[] {
  const layout = layoutOf(dir);
  const groups = [dir, ...nodePlans.map(({ name }) => layout.node(name))].map(topGroup);
  const names = [layout.dir, layout.run, ...groups];
  const named = (text: string): boolean => names.some((name) => text.includes(name));
  const lines = (file: string): string[] => read(file).split('\n').filter(named);
  return [
    ...names.filter((name) => name.startsWith('/') && existsSync(name)).map((name) => `file ${name}`),
    ...lines('/proc/self/mountinfo').map((line) => `mount ${line}`),
    ...lines('/proc/net/unix').map((line) => `socket ${line}`),
    ...lines('/proc/net/dev').map((line) => `link ${line}`),
    ...hierarchies().flatMap(({ mountPoint }) =>
      folders(mountPoint)
        .filter(named)
        .map((path) => `cgroup ${path}`),
    ),
    ...readdirSync('/sys/block').flatMap((device) =>
      lines(`/sys/block/${device}/loop/backing_file`).map((file) => `loop device ${device} of ${file}`),
    ),
    ...readdirSync('/proc')
      .filter((pid) => /^\d+$/.test(pid) && pid !== String(process.pid))
      .flatMap((pid) => {
        const environment = read(`/proc/${pid}/environ`).split('\0');
        const command = read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ');
        const seen = ['cgroup', 'mountinfo'].map((file) => read(`/proc/${pid}/${file}`));
        const links = ['cwd', 'root', 'exe'].map((link) => readLink(`/proc/${pid}/${link}`));
        const ours = (mark && environment.includes(mark)) || [command, ...seen, ...links].some(named);
        return ours && !isEnding(pid) ? [`process ${pid}: ${command || '(no command line)'}`] : [];
      }),
  ];
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function readLink(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

/** The hierarchy's folders, two levels deep: a cluster's cgroups are at its top. */
const folders = (mountPoint: string): string[] =>
  readdirSync(mountPoint, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(mountPoint, entry.name));

const isEnding = (pid: string): boolean =>
  /^State:\s+[ZX]/m.test(read(`/proc/${pid}/status`)) || !existsSync(`/proc/${pid}`);
