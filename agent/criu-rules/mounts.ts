import { absolute, type CriuRule } from './rule.js';

/** Mounts, namespaces and file systems. */
export const MOUNT_RULES: readonly CriuRule[] = [
  {
    pattern: /mnt: (?:Mount )?\d+:(\S+) doesn't have a proper root mount/,
    sentence: ([, path = '']) =>
      `what is mounted at ${absolute(path)} comes from outside of the container, and CRIU was not told of it`,
    hint: 'Somebody has mounted it into the running container (a driver, mount propagation): unmount it first.',
  },
  {
    pattern: /mnt: (?:Mount \d+ )?(\S+) .*has unreachable sharing|Sharing group .* has unreachable sharing/,
    sentence: ([, path = '']) =>
      `${path && !path.startsWith('(') ? `the mount ${absolute(path)}` : 'a mount'} propagates from outside of the container`,
    hint: 'Remove mountPropagation from the volume of the container.',
  },
  {
    pattern: /Mount \d+:(\S+) is autodetected external mount/,
    sentence: ([, path = '']) =>
      `what is mounted at ${absolute(path)} comes from outside of the container, and CRIU was not told of it`,
    hint: 'Somebody has mounted it into the running container (a driver, mount propagation): unmount it first.',
  },
  {
    pattern: /No mapping for \d+:(\S+) mountpoint/,
    sentence: ([, path = '']) =>
      `${path === '(null)' ? 'a mount' : `the mount ${absolute(path)}`} that it had is not there in the new container`,
    hint: 'Compare the mounts of both containers: a webhook or a changed volume may be the reason.',
  },
  {
    pattern: /No parent found for mountpoint \d+ \(@?(\S+)\)/,
    sentence: ([, path = '']) => `CRIU cannot follow where ${absolute(path)} is mounted`,
    hint: 'The container runtime works in a chroot, or its root was moved: run it in a mount namespace of its own (pivot_root).',
  },
  {
    pattern:
      /FS mnt (\S+) dev \S+ root \S+ unsupported|failed to dump fs \S+ \((.+?)\)|Unable to dump a file system for \d+:(\S+)/,
    sentence: ([, a, b, c]) =>
      `the file system at ${absolute(a ?? b ?? c ?? '')} is of a kind that CRIU cannot dump`,
    hint: 'Unmount it in the container, or hand it in as a volume.',
  },
  {
    pattern: /(\S+) is a fuse mount but not external/,
    sentence: ([, path = '']) => `a FUSE file system is mounted at ${absolute(path)} inside the container`,
    hint: 'Unmount it before trying again; its program cannot be moved with its mount.',
  },
  {
    pattern: /Mount \d+ has two children with same mountpoint|is overmounted so paths are invisible/,
    sentence: 'two of its mounts lie on top of each other, which CRIU cannot dump',
    hint: 'Mount each volume at a place of its own.',
  },
  {
    pattern: /Nested mount namespaces are not supported|Can't dump nested (\S+) namespace for (\d+)/,
    sentence: ([, kind, pid]) =>
      kind
        ? `process ${pid} lives in a ${kind} namespace of its own inside the container`
        : 'a process lives in a mount namespace of its own inside the container',
    hint: 'Sandboxes inside of containers (a browser, bubblewrap, docker-in-docker) cannot be moved.',
  },
  {
    pattern: /One or more namespaces doesn't belong to the target user namespace/,
    sentence: 'it lives in a user namespace that does not own its other namespaces',
    hint: 'Pods with hostUsers: false, or rootless containers inside, cannot be moved.',
  },
  {
    pattern: /(?:Can't dump tmpfs content|Can't restore tmpfs content)/,
    sentence: 'the contents of a tmpfs could not be packed or unpacked',
    hint: 'Install GNU tar on the node; check its free memory.',
  },
  {
    pattern: /The root task has another root than mntns|Can't open the task root/,
    sentence: 'its main process has changed its root directory (chroot)',
    hint: 'Start it without chroot.',
  },
  {
    pattern: /Unable to find an external (netns|pidns): (\S+)/,
    sentence: ([, kind]) => `the pod's ${kind === 'netns' ? 'network' : 'process'} namespace is not there`,
    hint: 'The sandbox of the target pod may have ended meanwhile: migrate again.',
  },
  {
    pattern:
      /(?:Unable to create a new time namespace|Unable to set a (?:monotonic|boottime) clock offset|Time namespaces are not supported)/,
    sentence: 'its clock could not be continued (time namespace)',
    hint: 'The kernel of the node needs CONFIG_TIME_NS, and CRIU the right to set it.',
  },
];
