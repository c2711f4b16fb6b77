import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { containerCgroupOf, freezerOf, podCgroupByName, podCgroupOf } from './cgroup.js';

const uid = '18646aa0-e6f7-4a62-9a09-4f224737922a';
const id = '6ec08a9d99f46af9a085e8ef6daa9172eb90578ebf414e25693e1a9546a56b4f';

test('a container’s cgroup is the outermost with its ID, below which crun and processes make others', () => {
  const of = (path: string): string =>
    containerCgroupOf({ version: 2, dir: `/sys/fs/cgroup/${path}` }, id).dir.slice('/sys/fs/cgroup/'.length);
  const scope = `kubepods.slice/kubepods-pod1.slice/crio-${id}.scope`;
  assert.equal(of(`${scope}/container`), scope);
  assert.equal(of(scope), scope);
  assert.equal(of(`kubepods/pod1/${id}/own/deeper`), `kubepods/pod1/${id}`);
  assert.equal(of('elsewhere/x'), 'elsewhere/x');
});

const freezers: [name: string, text: string, expected: ReturnType<typeof freezerOf>][] = [
  [
    'a hybrid system uses the v1 freezer hierarchy, wherever its line stands',
    `0::/kubepods/x\n9:name=systemd:/kubepods/x\n6:freezer:/kubepods/pod${uid}/${id}\n5:devices:/y\n`,
    { version: 1, dir: `/sys/fs/cgroup/freezer/kubepods/pod${uid}/${id}` },
  ],
  [
    'a freezer that shares its hierarchy counts',
    '3:freezer,blkio:/a\n',
    { version: 1, dir: '/sys/fs/cgroup/freezer/a' },
  ],
  [
    'cgroup v2 has its only line',
    `0::/kubepods.slice/cri-containerd-${id}.scope\n`,
    { version: 2, dir: `/sys/fs/cgroup/kubepods.slice/cri-containerd-${id}.scope` },
  ],
  ['a path may hold colons', '0::/a:b\n', { version: 2, dir: '/sys/fs/cgroup/a:b' }],
  ['nothing is found in an empty file', '', undefined],
];
for (const [name, text, expected] of freezers) {
  test(name, () => assert.deepEqual(freezerOf(text, '/sys/fs/cgroup'), expected));
}

const pods: [name: string, dir: string, expected: string | undefined][] = [
  [
    'cgroupfs names the pod by its UID',
    `/f/kubepods/besteffort/pod${uid}/${id}`,
    `/f/kubepods/besteffort/pod${uid}`,
  ],
  [
    'systemd writes the UID with underscores',
    `/f/kubepods-pod${uid.replaceAll('-', '_')}.slice/cri-containerd-${id}.scope`,
    `/f/kubepods-pod${uid.replaceAll('-', '_')}.slice`,
  ],
  ['a container whose parent is not the pod has none', `/f/system.slice/${id}`, undefined],
  ["another pod's cgroup is not this pod's", `/f/kubepods/pod${uid.replace('1', '2')}/${id}`, undefined],
];
for (const [name, dir, expected] of pods) {
  test(name, () => assert.equal(podCgroupOf({ version: 1, dir }, uid)?.dir, expected));
}

const trees: [name: string, folder: string, version: 1 | 2][] = [
  ['cgroupfs and cgroup v1', `freezer/kubepods/besteffort/pod${uid}`, 1],
  ['a guaranteed pod with cgroupfs', `kubepods/pod${uid}`, 2],
  [
    'systemd and cgroup v2',
    `kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${uid.replaceAll('-', '_')}.slice`,
    2,
  ],
];
for (const [name, folder, version] of trees) {
  test(`a pod without any process is found where the kubelet makes its cgroup: ${name}`, (t) => {
    const root = mkdtempSync(join(tmpdir(), 'lpm-cgroup-'));
    t.after(() => rmSync(root, { recursive: true }));
    mkdirSync(join(root, folder), { recursive: true });
    mkdirSync(join(root, folder, '..', 'pod18646aa0-0000-0000-0000-000000000000'));
    assert.deepEqual(podCgroupByName(root, uid), { version, dir: join(root, folder) });
    assert.equal(podCgroupByName(root, uid.replace('1', '2')), undefined);
  });
}
