import type { CriuRule } from './rule.js';

/** What runs out: whatever was tried when it did, this is the cause. */
export const ROOM_RULES: readonly CriuRule[] = [
  {
    pattern: /fsnotify:.*(?:Can't add watch|Adding fanotify .*mask)/,
    sentence: 'a watch of inotify or fanotify could not be set up again on this node',
    hint: 'Look at fs.inotify.max_user_watches and max_user_instances on the node (sysctl).',
  },
  {
    pattern:
      /memfd: .*(?:MFD_HUGETLB|hugetlb)|(?:Unable to create memfd|Can't create memfd).*(?:hugetlb|Cannot allocate memory)|Unexpected result when get hugetlb dev/i,
    sentence: 'it uses huge pages of which this node has not enough',
    hint: 'Reserve huge pages on the node (vm.nr_hugepages) or choose another one.',
  },
  {
    pattern: /No space left on device|Disk quota exceeded|ENOSPC/,
    sentence: "the node's disk is full",
    hint: 'Make room below /var/lib/lpm on the node.',
  },
  {
    pattern:
      /Cannot allocate memory|Out of memory|Not enough memory|OOM storing|Can't allocate (?:memory|\d+ bytes)|failed with -12\b/,
    sentence: 'the node has not enough memory, or the pod has reached its limit',
    hint: 'Compare the memory limit of the pod with what it uses, and look at the free memory of the node.',
  },
  {
    pattern: /Too many open files|fcntl .*: Too big FD number|Too big FD number/,
    sentence: 'it has more files open than the node allows',
    hint: 'Raise the limit of open files of the container runtime on the node (LimitNOFILE).',
  },
  {
    pattern: /Input\/output error|Stale file handle/,
    sentence: 'a disk or a network file system failed',
    hint: 'Look at the node: dmesg, and the volumes of the pod.',
  },
];
