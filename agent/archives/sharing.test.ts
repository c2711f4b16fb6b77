import assert from 'node:assert/strict';
import { test } from 'node:test';
import { notShared } from './sharing.js';

const repository = '/mnt/checkpoints';
const line = (device: string, root: string, at: string, type: string): string =>
  `36 35 ${device} ${root} ${at} rw,noatime shared:1 - ${type} somewhere rw`;
const disk = line('8:1', '/', '/', 'ext4');
/** A pod has an overlay of its own as its root. */
const podRoot = line('0:90', '/', '/', 'overlay');

const cases: { name: string; own: string[]; node: string[]; shared: boolean }[] = [
  {
    name: 'the agent runs on the node, and nothing is mounted there',
    own: [disk],
    node: [disk],
    shared: false,
  },
  {
    name: 'the agent runs on the node, where a folder of many nodes is mounted',
    own: [disk, line('0:55', '/', repository, 'nfs4')],
    node: [disk, line('0:55', '/', repository, 'nfs4')],
    shared: true,
  },
  {
    name: 'the agent runs on the node, where somebody has mounted something of a type that tells nothing',
    own: [disk, line('8:1', '/srv/shared', repository, 'ext4')],
    node: [disk, line('8:1', '/srv/shared', repository, 'ext4')],
    shared: true,
  },
  {
    name: 'a pod has a folder of its node, where nothing is mounted (hostPath)',
    own: [podRoot, line('8:1', repository, repository, 'ext4')],
    node: [disk],
    shared: false,
  },
  {
    name: 'a pod has a folder of its node (hostPath), and there an NFS is mounted',
    own: [podRoot, line('0:55', '/', repository, 'nfs4')],
    node: [disk, line('0:55', '/', repository, 'nfs4')],
    shared: true,
  },
  {
    name: 'a pod has a folder of its node (hostPath), and there is another disk',
    own: [podRoot, line('8:17', '/', repository, 'xfs')],
    node: [disk, line('8:17', '/', repository, 'xfs')],
    shared: true,
  },
  {
    name: 'a pod has a claim for an NFS',
    own: [podRoot, line('0:60', '/exports/a', repository, 'nfs')],
    node: [disk, line('0:60', '/exports/a', '/var/lib/kubelet/pods/x/volumes/y', 'nfs')],
    shared: true,
  },
  {
    name: 'a pod has a claim for a disk of its node',
    own: [podRoot, line('8:33', '/', repository, 'ext4')],
    node: [disk, line('8:33', '/', '/var/lib/kubelet/pods/x/volumes/y', 'ext4')],
    shared: false,
  },
  {
    name: 'a pod has mounted nothing there',
    own: [podRoot],
    node: [disk, line('0:55', '/', repository, 'nfs4')],
    shared: false,
  },
  {
    name: 'an NFS is mounted, and covered again by a folder of this node',
    own: [podRoot, line('0:55', '/', repository, 'nfs4'), line('8:1', repository, repository, 'ext4')],
    node: [disk],
    shared: false,
  },
];

for (const { name, own, node, shared } of cases) {
  test(`${shared ? 'shared' : 'not shared'}: ${name}`, () => {
    const why = (mode: 'auto' | 'yes' | 'no'): string =>
      notShared(mode, repository, own.join('\n'), node.join('\n'));
    assert.equal(why('auto') === '', shared, why('auto'));
    assert.equal(why('yes'), '', 'whoever knows better has the last word');
    assert.notEqual(why('no'), '');
  });
}

test('a mount point with a space in its name is read as the kernel writes it', () => {
  const mounts = [disk, line('0:55', '/', '/mnt/check\\040points', 'nfs4')].join('\n');
  assert.equal(notShared('auto', '/mnt/check points', mounts, mounts), '');
});
