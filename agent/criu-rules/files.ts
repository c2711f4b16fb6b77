import { absolute, type CriuRule } from './rule.js';

/** What the kernel calls the files that have no path (fs/anon_inodes.c), for people. */
const ANONYMOUS: Record<string, string> = {
  'bpf-link': 'BPF programs',
  'bpf-map': 'BPF maps',
  'bpf-prog': 'BPF programs',
  bpf_iter: 'BPF programs',
  btf: 'BPF programs',
  fscontext: 'the new mount API (fsopen)',
  iommufd: 'devices of its own (iommufd)',
  'kvm-vcpu': 'a virtual machine (KVM)',
  'kvm-vm': 'a virtual machine (KVM)',
  'landlock-ruleset': 'a Landlock ruleset that it has not enforced yet',
  perf_event: 'performance counters (perf_event_open)',
  'seccomp notify': 'a seccomp listener (user notification)',
  userfaultfd: 'userfaultfd',
  'vfio-device': 'a device of its own (VFIO)',
};

/** Major numbers of character devices (Documentation/admin-guide/devices.txt). */
function deviceName(major: number, minor: number): string {
  const number = `character device ${major}:${minor}`;
  const misc: Record<number, string> = { 200: '/dev/net/tun', 229: '/dev/fuse', 232: '/dev/kvm' };
  if (major === 10 && misc[minor]) return `${misc[minor]} (${number})`;
  const known: Record<number, string> = {
    29: 'a frame buffer',
    81: 'a camera',
    116: 'a sound card',
    195: 'an NVIDIA GPU',
    226: 'a GPU',
    235: 'an AMD GPU',
    241: 'an InfiniBand adapter',
    511: 'an NVIDIA GPU',
  };
  return known[major] ? `${known[major]} (${number})` : number;
}

/** Files that a process holds open or has mapped. */
export const FILE_RULES: readonly CriuRule[] = [
  {
    // Newer kernels do not let such a file be handed to CRIU at all (EINVAL from SCM_RIGHTS).
    pattern: /anon_inode:\[io_uring\]|send_fds failed \(-22\)/,
    sentence: 'a process uses io_uring, which CRIU cannot dump',
    hint: 'Switch io_uring off in the program (Node.js: UV_USE_IO_URING=0) or forbid it by a seccomp profile.',
  },
  {
    pattern: /anon_inode:\[?([a-z_][a-z_ -]*[a-z])/,
    sentence: ([, kind = '']) => `a process uses ${ANONYMOUS[kind] ?? kind}, which CRIU cannot dump`,
    hint: 'Switch that off in the program, or leave this pod where it is.',
  },
  {
    pattern: /Can't dump file (\d+) of that type \[\d+\] \(chr (\d+):(\d+)/,
    sentence: ([, fd, major, minor]) =>
      `it holds a device open as file ${fd}: ${deviceName(Number(major), Number(minor))}`,
    hint: 'Devices stay on their node: let the program close it, or leave this pod where it is.',
  },
  {
    pattern: /Can't dump file (\d+) of that type \[\d+\] \(\w+ ([^)]+)\)/,
    sentence: ([, fd, what]) => `it holds a file open that CRIU cannot dump: ${what} (file ${fd})`,
    hint: 'Let the program close it before trying again.',
  },
  {
    pattern: /Can't dump ghost file (.+) of (\d+) size/,
    sentence: ([, path, bytes]) =>
      `it holds the deleted file ${path} open, whose ${Math.ceil(Number(bytes) / 1048576)} MiB are more than the limit`,
    hint: 'Let the program close its deleted files (a rotated log, a temporary file); the limit is 64 MiB.',
  },
  {
    pattern: /Can't create link remap for (.+)\. Use/,
    sentence: ([, path]) =>
      `it holds the file ${path} open, which was removed under that name but is still there under another (a hard link)`,
    hint: 'Let the program close and reopen it (often a log that was rotated), or restart what holds it.',
  },
  {
    pattern: /Can't link remap to (.+?): (.+)/,
    sentence: ([, path, why]) =>
      `the open file ${path} has lost its name and CRIU cannot give it one (${why})`,
    hint: 'Let the program close it before trying again.',
  },
  {
    pattern: /Can't lookup mount=.* path=\/memfd:/,
    sentence: 'it has memory in huge pages (memfd), which CRIU cannot dump with this kernel',
    hint: 'Switch huge pages off in the program, or mount /dev/hugepages into its pod.',
  },
  {
    pattern: /Can't lookup mount=(\d+) for fd=(-?\d+) path=(.+)/,
    sentence: ([, , fd, path]) =>
      `${Number(fd) < 0 ? path : `file ${fd} (${path})`} was opened on a mount that is not there in the container any more, or never was`,
    hint: 'It was opened before a volume was mounted over it, or was handed in from outside: let the program reopen it.',
  },
  {
    pattern: /Open files on overmounted mounts are not supported yet.* path=(.+)/,
    sentence: ([, path]) => `the open file ${path} lies on a mount that another one covers`,
    hint: 'Let the program reopen it.',
  },
  {
    pattern: /Unaccessible path opened (\S+), need (\S+)/,
    sentence: 'an open file cannot be reached by its path any more: something else lies there now',
    hint: 'It was replaced or covered by a mount while it was open: let the program reopen it.',
  },
  {
    pattern: /The path \[(.*)\] is not supported/,
    sentence: ([, path]) => `the open file ${path} has a path that CRIU cannot handle`,
    hint: 'Let the program close it before trying again.',
  },
  {
    pattern: /File (.+) has bad size (\d+) \(expect (\d+)\)/,
    sentence: ([, path, now, before]) =>
      `the file ${absolute(path)}, which it uses, has ${now} bytes here, but had ${before} when it was frozen`,
    hint: 'Something else writes to that volume, or it lies in an image of another version.',
  },
  {
    pattern: /File (.+) has bad mode (\S+) \(expect (\S+?)\)/,
    sentence: ([, path, now, before]) =>
      `the file ${absolute(path)}, which it uses, has mode ${now} here, but had ${before} when it was frozen`,
    hint: 'Check that the image is the same and that nothing changes the rights on that volume.',
  },
  {
    pattern: /File (.+) has bad build-ID/,
    sentence: ([, path]) => `the program or library ${absolute(path)} is another one on this node`,
    hint: 'Both nodes must have the very same image: pin it by digest.',
  },
  {
    pattern: /Can't open file (.+) on restore: (.+)/,
    sentence: ([, path, why]) =>
      `the file ${absolute(path)}, which it had open, cannot be opened on this node (${why})`,
    hint: 'It lies on a volume that was not carried over, or in an image of another version.',
  },
  {
    pattern: /Can't link (.+) -> (.+): File exists/,
    sentence: ([, , path]) =>
      `it held a deleted file open whose name ${absolute(path)} is taken on this node`,
    hint: 'Something has made a file of that name on the volume or in the image: remove it.',
  },
  {
    pattern: /Can't open fifo \S+ \[(.+)\]/,
    sentence: ([, path]) => `the named pipe ${absolute(path)} is missing on this node`,
    hint: 'It lies on a volume that was not carried over.',
  },
  {
    pattern: /Unknown shit \d+ \((.+)\)|Can't handle non-regular mapping on \d+'s map/,
    sentence: ([, what]) =>
      `it has mapped something into its memory that CRIU cannot dump${what ? `: ${what}` : ''}`,
    hint: 'Devices, GPUs and the like cannot be moved: leave this pod where it is.',
  },
  {
    pattern: /Can't open (\d+)'s mapfile link \S+: (.+)/,
    sentence: ([, , why]) => `a file that it has mapped into its memory cannot be reached (${why})`,
    hint: 'The file may lie on a device, a network file system or a volume that is gone.',
  },
  {
    pattern: /Can't open mapped \[(.+)\]|Strange file mapped at \S+ \[(.*?)\]/,
    sentence: ([, open, strange]) =>
      `the file ${open ?? strange}, which it has mapped, is not the one at that path any more`,
    hint: 'A library or program was replaced while it ran: restart the container before trying again.',
  },
  {
    pattern: /Can't find suitable path for handle \(dev (\S+) ino (\S+?)\)/,
    sentence: ([, device, inode]) =>
      `it watches a file by inotify or fanotify whose path CRIU cannot find (device ${device}, inode ${inode})`,
    hint: 'The watched file was deleted or lies in a lower layer of the image: let the program stop watching it.',
  },
  {
    pattern:
      /fsnotify:.*(?:Unable to lookup a mount by dev|Can't find (?:mount )?mnt_id|Can't dump that handle)/,
    sentence: 'it watches a file by inotify or fanotify that CRIU cannot find again',
    hint: 'It lies in the image, not in a volume, or on a mount that is gone: let the program watch files in a volume only.',
  },
  {
    pattern:
      /Some file locks are hold by dumping tasks|Unresolved lock found|Can not set (?:flock|posix lock|ofd lock)|Can't set lease/,
    sentence: 'it holds a file lock that cannot be carried over',
    hint: 'The lock is shared with a process outside of the container, or somebody else has it on this node.',
  },
  {
    pattern:
      /Ring size is not aligned|No AIO ring at expected location|wrong aio:|Ring (?:setup|remap) failed/,
    sentence: 'its asynchronous I/O (io_setup) cannot be carried over',
    hint: 'Let the program use threads instead (MySQL: innodb_use_native_aio=0).',
  },
  {
    pattern: /packetized mode for pipes is not supported/,
    sentence: 'it uses a pipe in packet mode (O_DIRECT), which CRIU cannot dump',
    hint: 'Nothing can be done about it from outside: leave this pod where it is.',
  },
  {
    pattern: /Escaped\/closed fd descriptor (\d+)/,
    sentence: ([, fd]) =>
      `it watches by epoll a file that it has closed (file ${fd}), which CRIU cannot dump`,
    hint: 'Try again: such a file is often gone soon; else the program must take it out of its epoll set.',
  },
  {
    pattern: /pidfd: PIDFD_THREAD flag|pidfd: pidfd pid (\d+) is not a part of process tree/,
    sentence: 'it holds a pidfd of a thread or of a process outside of the container',
    hint: 'Let the program close it before trying again.',
  },
  {
    pattern: /does not currently support dumping BPF map type (\d+)/,
    sentence: ([, type]) => `it holds a BPF map of type ${type}, which CRIU cannot dump`,
    hint: 'BPF programs belong to their node: leave this pod where it is.',
  },
  {
    pattern: /has uprobes vma/,
    sentence: 'somebody traces it by uprobes (bpftrace, perf, an observability agent)',
    hint: 'Detach the tracer before trying again.',
  },
  {
    pattern: /SysVIPC shmem map @\S+ doesn't live in IPC ns|Sysv shmem .* not supported|SysV shmem vma/,
    sentence: 'it uses System V shared memory in a way that CRIU cannot dump',
    hint: 'It shares the segment with the node or another container, or has mapped only a part of it.',
  },
  {
    pattern: /Autofs|autofs (?:mount|pipe)|Process \d+ autofs/,
    sentence: 'it has an automounter (autofs), which CRIU cannot dump now',
    hint: 'Leave the automounter out of the container.',
  },
];
