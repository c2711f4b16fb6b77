import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { OciSpec } from '../oci.js';
import { namespacesOf } from './dump-command.js';
import { externalMounts, parseMounts, resolveIn, type ContainerFiles } from './external.js';

/** Of a pod's container under CRI-O and crun 1.28 on cgroup v1, as far as the lines differ in kind. */
const table = `1209 1203 0:172 / / rw,relatime - overlay overlay rw,lowerdir=/l,upperdir=/u,workdir=/w
1210 1209 0:174 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw
1211 1209 0:175 / /dev rw,nosuid - tmpfs tmpfs rw,size=65536k,mode=755
1214 1209 0:157 / /sys ro,nosuid,nodev,noexec,relatime - sysfs sysfs ro
1215 1214 0:178 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime - tmpfs tmpfs rw
1216 1215 0:40 /kubepods/pod1/crio-1 /sys/fs/cgroup/memory ro,nosuid - cgroup cgroup rw,memory
1220 1209 0:170 / /dev/shm rw,nosuid - tmpfs shm rw,size=65536k
1221 1209 0:160 /kubelet/volumes/my\\040data /my\\040data rw - ext4 /dev/vda rw
1222 1209 0:160 /kubelet/token /run/secrets/token ro - tmpfs tmpfs rw
1230 1210 0:174 /bus /proc/bus ro,nosuid,nodev,noexec,relatime - proc proc rw
1231 1210 0:158 /null /proc/kcore rw,nosuid - devtmpfs devtmpfs rw,mode=755
1232 1210 0:159 /crun/.empty-directory /proc/acpi ro,nosuid - tmpfs tmpfs rw,mode=755
1233 1214 0:181 / /sys/firmware ro,relatime - tmpfs tmpfs ro`;
const mounts = parseMounts(table);
const spec: OciSpec = {
  mounts: [
    { destination: '/proc', type: 'proc' },
    { destination: '/dev', type: 'tmpfs' },
    { destination: '/sys/fs/cgroup', type: 'cgroup' },
    { destination: '/dev/shm', type: 'bind', options: ['rw', 'bind'] },
    { destination: '/my data', type: 'bind', options: ['rbind'] },
    { destination: '/var/run/secrets/token/', options: ['rbind'] },
  ],
  linux: {
    maskedPaths: ['/proc/acpi', '/proc/kcore', '/proc/none', '/sys/firmware'],
    readonlyPaths: ['/proc/bus'],
    namespaces: [{ type: 'pid' }, { type: 'network', path: '/run/netns/a' }, { type: 'ipc', path: '/run/i' }],
  },
};
const files: ContainerFiles = {
  isFolder: (path) => ['/proc/acpi', '/sys/firmware'].includes(path),
  readlink: (path) => (path === '/var/run' ? '../run' : undefined),
};

describe('of a container that crun runs, CRIU is told', () => {
  const { mounts: found, hiddenFolders } = externalMounts(spec, mounts, files);
  const keys = Object.fromEntries(found.map(({ mountpoint, key }) => [mountpoint, key]));

  test('which mounts come from outside, by the keys that runc restores them under', () => {
    assert.deepEqual(keys, {
      '/sys/fs/cgroup/memory': '/sys/fs/cgroup/memory',
      '/dev/shm': '/dev/shm',
      '/my data': '/my data',
      '/run/secrets/token': '/run/secrets/token',
      '/proc/kcore': '/dev/null',
      '/proc/acpi': '/proc/acpi',
    });
  });

  test('which folders are hidden by one of the node’s, but not those that have a tmpfs of their own', () => {
    assert.deepEqual(hiddenFolders, ['/proc/acpi']);
  });

  test('nothing of cgroups that the container has a namespace of', () => {
    const namespaces = [...spec.linux!.namespaces!, { type: 'cgroup' }];
    const own = externalMounts({ ...spec, linux: { ...spec.linux, namespaces } }, mounts, files);
    assert.ok(!own.mounts.some(({ mountpoint }) => mountpoint.startsWith('/sys/fs/cgroup')));
  });

  test('which namespaces are the pod’s', () => {
    const found = namespacesOf(spec, (kind) => (kind === 'net' ? 4026532 : 0));
    assert.deepEqual(found, ['net[4026532]:extRootNetNS']);
  });
});

test('links of the image on the way to a mount are followed, and none of them leads out of it', () => {
  const links: Readonly<Record<string, string>> = {
    '/var/run': '/run',
    '/a': '../../b/./c',
    '/loop': '/loop',
  };
  const resolve = (path: string): string => resolveIn(path, { readlink: (at) => links[at] });
  assert.equal(resolve('/var/run/secrets/'), '/run/secrets');
  assert.equal(resolve('/a/d'), '/b/c/d');
  assert.equal(resolve('/loop/x'), '/loop/x');
  assert.equal(resolve('/'), '/');
});
