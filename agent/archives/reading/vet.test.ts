import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CoreEntry, MntEntry } from '../../../proto/gen/lpm/criu/v1/images.js';
import type { OciSpec } from '../../oci.js';
import { excess, type Asked } from './vet.js';

const spec: OciSpec = {
  process: {
    user: { uid: 1000 },
    capabilities: { bounding: ['CAP_CHOWN', 'CAP_KILL'] },
    noNewPrivileges: true,
    apparmorProfile: 'cri-containerd.apparmor.d',
  },
  mounts: [
    { destination: '/proc', type: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
    { destination: '/sys', type: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
    { destination: '/sys/fs/cgroup', type: 'cgroup', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
    { destination: '/data', type: 'bind', options: ['rbind', 'rw'] },
    { destination: '/secret', type: 'bind', options: ['rbind', 'ro'] },
  ],
  linux: {
    seccomp: {},
    maskedPaths: ['/proc/kcore', '/proc/keys', '/proc/acpi', '/proc/none'],
    readonlyPaths: ['/proc/sys'],
  },
};

const RO = 1;
const SAFE = 14;
const mount = (mountpoint: string, fstype: number, flags = 0, extKey = ''): MntEntry =>
  MntEntry.fromPartial({ mountpoint, fstype, flags, extKey, root: '/' });
const mounts = [
  mount('/', 17),
  mount('/proc', 1, SAFE),
  mount('/proc/kcore', 5),
  mount('/proc/keys', 3, RO, '/dev/null'),
  mount('/proc/acpi', 5, RO),
  mount('/proc/sys', 1, SAFE | RO),
  mount('/sys', 2, SAFE | RO),
  mount('/sys/fs/cgroup', 5, SAFE),
  mount('/sys/fs/cgroup/memory', 12, SAFE | RO, '/sys/fs/cgroup/memory'),
  mount('/data', 0, 0, '/data'),
  mount('/secret', 0, RO, '/secret'),
];
const creds = {
  uid: 1000,
  euid: 1000,
  suid: 1000,
  fsuid: 1000,
  // CAP_KILL
  capBnd: [0x20, 0],
  noNewPrivs: 1,
  lsmProfile: 'cri-containerd.apparmor.d',
};
const core = (more: object = {}, seccompMode = 2): CoreEntry =>
  CoreEntry.fromPartial({ tc: { taskState: 1 }, threadCore: { creds: { ...creds, ...more }, seccompMode } });

const fitting: Asked = { names: ['core-1.img', 'netns-10.img'], cores: [core()], mounts, networks: ['net'] };
const ask = (more: Partial<Asked>): string | undefined =>
  excess({ ...fitting, ...more }, spec, (path) => path !== '/proc/none');
const withMount = (...changed: MntEntry[]): Partial<Asked> => ({
  mounts: [
    ...mounts.filter((each) => !changed.some((one) => one.mountpoint === each.mountpoint)),
    ...changed,
  ],
});
const without = (path: string): Partial<Asked> => ({
  mounts: mounts.filter(({ mountpoint }) => mountpoint !== path),
});

const cases: [name: string, asked: Partial<Asked>, says: RegExp | undefined][] = [
  ['what the pod itself has passes', {}, undefined],
  ['so does a zombie', { cores: [CoreEntry.fromPartial({ tc: { taskState: 2 } })] }, undefined],
  ['a capability more', { cores: [core({ capEff: [0, 0x80] })] }, /capability CAP_BPF/],
  ['a capability in the bounding set', { cores: [core({ capBnd: [0x200000, 0] })] }, /CAP_SYS_ADMIN/],
  ['a capability that nobody knows', { cores: [core({ capAmb: [0, 0x80000000] })] }, /CAP_63/],
  ['new privileges', { cores: [core({ noNewPrivs: 0 })] }, /may gain privileges/],
  ['root, where the pod is not', { cores: [core({ suid: 0 })] }, /the user 0, where the pod runs as 1000/],
  ['no seccomp filter', { cores: [core({}, 0)] }, /without a seccomp filter/],
  ['no AppArmor profile', { cores: [core({ lsmProfile: '' })] }, /without the AppArmor profile/],
  [
    'credentials that stand elsewhere',
    { cores: [CoreEntry.fromPartial({ tc: { taskState: 1 } })] },
    /without credentials/,
  ],
  ['credentials in an image of old', { names: ['creds-1.img'] }, /image creds-1.img/],
  ['firewall rules', { names: ['iptables-9.img'] }, /image iptables-9.img/],
  ['policies for AppArmor', { names: ['apparmor.img'] }, /image apparmor.img/],
  ['a network that CRIU would make', { networks: [''] }, /network of its own/],
  ['a mount more', withMount(mount('/host', 0, 0, '/host')), /"\/host", which the pod does not have/],
  ['a device file system', withMount(mount('/data', 3)), /"\/data" of another kind/],
  ['a file system in place of a bind mount', withMount(mount('/data', 5)), /of another kind/],
  ['the key of another mount', withMount(mount('/data', 0, 0, '/secret')), /of another kind/],
  ['/sys that can be written', withMount(mount('/sys', 2, SAFE)), /without "ro"/],
  ['/proc with device nodes', withMount(mount('/proc', 1, 10)), /without "nodev"/],
  ['a secret that can be written', withMount(mount('/secret', 0, 0, '/secret')), /without "ro"/],
  [
    'a cgroup that can be written',
    withMount(mount('/sys/fs/cgroup/memory', 12, SAFE, '/sys/fs/cgroup/memory')),
    /without "ro"/,
  ],
  [
    'a cgroup that CRIU would mount',
    withMount(mount('/sys/fs/cgroup/memory', 12, SAFE | RO)),
    /another kind/,
  ],
  ['/proc/sys that can be written', withMount(mount('/proc/sys', 1, SAFE)), /which can be written/],
  ['/proc/sys that is not covered', without('/proc/sys'), /leaves \/proc\/sys open/],
  ['/proc/kcore that is not covered', without('/proc/kcore'), /leaves \/proc\/kcore open/],
  ['/proc/kcore under itself', withMount(mount('/proc/kcore', 1)), /which the pod hides/],
];
for (const [name, asked, says] of cases) {
  test(says ? `refused: ${name}` : name, () => {
    const problem = ask(asked);
    if (says) assert.match(problem ?? 'nothing', says);
    else assert.equal(problem, undefined);
  });
}
