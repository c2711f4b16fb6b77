import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { debianRoot, type Say } from './debian-root.js';

export { installPackages, once, type Say } from './debian-root.js';

/**
 * The nodes' root file system: Debian forky, whose CRIU (4.2), runc (1.3) and containerd (2.1) work on current
 * kernels (CRIU 3.17 of Debian 12 fails on the vDSO of Linux 6.x).
 */
const packages = [
  'ca-certificates',
  'containerd',
  'containernetworking-plugins',
  'criu',
  'runc',
  'busybox-static',
  // What users look into our archives with.
  'checkpointctl',
  'python3-pycriu',
  'iproute2',
  'iptables',
  'kubernetes-client',
  'libstdc++6',
  // For the image docker.io/library/nginx:1.21 alone.
  'nginx',
  'procps',
  'tar',
  'zstd',
];

/**
 * The folder of the ready root, built into the cache when it is not there (about 45 s and 600 MB). The variable
 * LPM_NODE_ROOT names a ready root instead. The root is shared by all nodes as an overlay's lower layer: nothing
 * may write to it.
 *
 * @throws with one sentence when not root, or when packages cannot be fetched.
 */
export async function nodeRoot(say: Say): Promise<string> {
  const given = process.env.LPM_NODE_ROOT;
  if (given) {
    if (!existsSync(join(given, 'usr/bin/containerd'))) {
      throw new Error(`LPM_NODE_ROOT is ${given}, where there is no usr/bin/containerd.`);
    }
    return given;
  }
  return debianRoot({ name: 'node-root', what: "the nodes' root", packages }, say);
}
