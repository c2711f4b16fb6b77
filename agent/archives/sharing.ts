/** Whether a repository is one that other nodes see too. Told from mount tables alone: those never hang, as a dead NFS does. */

export const SHARING_MODES = ['auto', 'yes', 'no'] as const;
export type SharingMode = (typeof SHARING_MODES)[number];

interface Mount {
  device: string;
  /** Folder of the file system that is mounted. */
  root: string;
  mountPoint: string;
  type: string;
}

/** File systems that are made to be seen by several machines. */
const NETWORK = /^(nfs4?|cifs|smb3|ceph|9p|virtiofs|lustre|beegfs|gpfs|ocfs2|gfs2|afs|glusterfs|fuse\..+)$/;

/**
 * Why a repository is not known to be shared, as the end of a sentence that begins with its name; empty when it is.
 *
 * With `auto`: it is mounted from a network file system, or the node has mounted something at that very place, which is what
 * somebody does who shares it. A folder of the node's own disk that is only handed into the agent's pod (hostPath) is no
 * such thing: an archive there would be called shared and be seen by nobody else.
 *
 * @param own mountinfo of this process (proc_pid_mountinfo(5))
 * @param node mountinfo of the node's first process; the same where the agent has no mount namespace of its own
 */
export function notShared(mode: SharingMode, repository: string, own: string, node: string): string {
  if (mode === 'no') return 'is not to be used as shared (--repository-shared=no)';
  const mounts = parse(own);
  const mount = mountOf(mounts, repository);
  if (mode === 'yes') return '';
  if (!mount) return 'is not mounted';
  if (mount.mountPoint === repository && NETWORK.test(mount.type)) return '';
  const onNode = mountOf(parse(node), repository);
  const nodesOwn = onNode?.mountPoint === repository;
  if (mount.mountPoint === repository && nodesOwn) {
    // What the pod sees there is what the node has mounted there.
    if (mount.device === onNode.device && mount.root === onNode.root) return '';
    return `is mounted from a file system of the type ${mount.type}, which other nodes do not see`;
  }
  return mount.mountPoint === repository && own !== node
    ? 'is a folder of this node alone: nothing is mounted there'
    : 'is not a mount point';
}

/** The mount in which a path lies; of several at one place the last covers the others. */
function mountOf(mounts: readonly Mount[], path: string): Mount | undefined {
  let found: Mount | undefined;
  for (const mount of mounts) {
    const { mountPoint } = mount;
    if (mountPoint !== '/' && path !== mountPoint && !path.startsWith(`${mountPoint}/`)) continue;
    if (!found || mountPoint.length >= found.mountPoint.length) found = mount;
  }
  return found;
}

function parse(mountinfo: string): Mount[] {
  return mountinfo
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const [, , device = '', root = '', mountPoint = ''] = line.split(' ');
      const [type = ''] = (line.split(' - ')[1] ?? '').split(' ');
      return { device, root: unescape(root), mountPoint: unescape(mountPoint), type };
    });
}

/** Space, tab, newline and backslash stand there in octal. */
const unescape = (text: string): string =>
  text.replace(/\\(040|011|012|134)/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)));
