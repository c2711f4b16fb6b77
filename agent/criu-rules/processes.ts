import type { CriuRule } from './rule.js';

/** Processes, what holds them, and what they are. */
export const PROCESS_RULES: readonly CriuRule[] = [
  {
    pattern: /Unseizable non-zombie (\d+) found, state (\w), err (-?\d+)/,
    sentence: ([, pid, , code]) =>
      code === '0'
        ? `process ${pid} could not be stopped`
        : `process ${pid} could not be stopped: a debugger or tracer holds it, or a security module forbids it`,
    hint: 'Detach strace, gdb and the like from the container; look for AppArmor or SELinux denials: dmesg | grep -i denied.',
  },
  {
    pattern: /Unable to freeze cgroup (\S+)/,
    sentence: 'its processes could not be frozen within 10 seconds',
    hint: 'A process that waits for a disk or network file system (state D) cannot be frozen: look at ps -eo pid,stat,wchan,args on the node.',
  },
  {
    pattern:
      /(?:Unknown freezer state|Unable to (?:thaw|freeze) tasks|Neither a cgroupv1 .* or cgroupv2|Unable to (?:read from|seek) freezer)/,
    sentence: 'CRIU could not work with the freezer of its cgroup',
    hint: 'Check that the cgroup of the container is mounted and writable on the node, and that CRIU is 4.1 or newer.',
  },
  {
    pattern: /Timeout reached\. Try to interrupt|FATAL: Unable to interrupt the current operation/,
    sentence: 'CRIU gave up waiting for a process',
    hint: 'A process may wait for a disk or network file system: look at ps -eo pid,stat,wchan,args on the node.',
  },
  {
    pattern:
      /SEIZE \d+: unsupported stop signal|Individually stopped threads not supported|SEIZE \d+: task not stopped after seize/,
    sentence: 'one of its threads is stopped in a way that CRIU cannot dump',
    hint: 'Continue stopped processes (kill -CONT), detach debuggers, then try again.',
  },
  {
    pattern: /Zombies? (?:with threads|thread) (?:are )?not supported|Zombie with children/,
    sentence: 'a thread or process of it has ended and was not collected, in a way that CRIU cannot dump',
    hint: 'Try again; if it stays, the program has lost its main thread.',
  },
  {
    // A process that somebody else traces looks like a dying one to CRIU.
    pattern: /zombie (\d+) \(comm (\S+)\) found while seizing/,
    sentence: ([, pid, name]) =>
      `process ${pid} (${name}) is held by a debugger or tracer, or is just ending`,
    hint: 'Detach strace, gdb, profilers and security agents from it, or try again.',
  },
  {
    pattern: /A root task is dead/,
    sentence: 'its main process ended while it was dumped',
    hint: 'Look at why it ended: kubectl logs, kubectl describe pod.',
  },
  {
    pattern:
      /A session leader of (?:zombie process )?(\d+)\(\d+\) is outside of its pid namespace|is not a session leader\. Consider using --shell-job/,
    sentence:
      'a process belongs to a session that was begun outside of the container (kubectl exec, a terminal)',
    hint: 'End all kubectl exec and attach sessions of the pod, then try again.',
  },
  {
    pattern: /The criu itself is within dumped tree/,
    sentence: 'CRIU runs inside of what it is to dump',
    hint: 'The agent must run in a container of its own.',
  },
  {
    pattern: /Task pid reused while suspending|Unexpected task \d+ in a tree/,
    sentence: 'its processes changed while they were dumped',
    hint: 'Try again.',
  },
  {
    pattern:
      /Can't dump task \d+ running in 32-bit mode|Can't dump task \d+ with LDT descriptors|Compatible mode without vdso map support|compat rt_sigaction/,
    sentence: 'it is a 32-bit program, or uses what only such programs use',
    hint: 'This CRIU was built without them, or the kernel of the node does not run them: leave this pod where it is.',
  },
  {
    pattern: /can't dump unprivileged task whose \/proc doesn't belong to it/,
    sentence: 'one of its processes has a /proc of another namespace',
    hint: 'Sandboxes inside of containers cannot be moved.',
  },
  {
    pattern: /Can't get rlimit|prlimit/,
    sentence: 'CRIU may not read the limits of its processes',
    hint: 'CRIU needs CAP_SYS_RESOURCE on the node: the agent or the whole machine runs without it.',
  },
  {
    pattern: /Can't restore cur > max for|Can't (?:set|restore) rlimit/,
    sentence: 'its limits (ulimit) are above what this node allows',
    hint: 'Raise the limits of the container runtime on the target node.',
  },
  {
    pattern:
      /seccomp: (?:Can't fetch filter|Can't fetch seccomp metadata)|Dumping seccomp filters not supported|suspending seccomp failed/,
    sentence: 'CRIU may not read or suspend its seccomp filters',
    hint: 'CRIU needs CAP_SYS_ADMIN and a kernel with CONFIG_CHECKPOINT_RESTORE; the agent must run without a seccomp profile.',
  },
  {
    pattern:
      /seccomp: (?:PR_SET_SECCOMP|SECCOMP_SET_MODE_FILTER|SECCOMP_MODE_STRICT) returned|Error restoring seccomp|failed to suspend seccomp/,
    sentence: 'its seccomp filters could not be set up again',
    hint: "Check that the target node's kernel is not older than the source's.",
  },
  {
    pattern:
      /can't write lsm profile|(?:apparmor|selinux) LSM specified but|unknown lsm|write AA policy|apparmor parsing failed|failed to (?:collect|create|make) (?:AA|namespace)/,
    sentence: 'its AppArmor or SELinux profile could not be set up again',
    hint: 'Load the same profile on the target node (AppArmor: apparmor_parser -r; SELinux: the same policy).',
  },
  {
    pattern:
      /(?:getting selinux profile failed|Invalid selinux context|err scanfing|Reading xattr security\.selinux)/,
    sentence: 'its AppArmor or SELinux profile could not be read',
    hint: 'Look for denials on the node: dmesg | grep -i denied, ausearch -m avc.',
  },
  {
    pattern:
      /Can't fork for (\d+): File exists|Pid \d+ do not match expected (\d+)|Unable to create a thread: -17|Thread pid mismatch \d+\/(\d+)/,
    sentence: ([, a, b, c]) =>
      `the process ID ${[a ?? b ?? c, 'that'].filter(Boolean).join(' ')} it had is taken`,
    hint: 'Containers that share the process namespace of their pod cannot be restored while others run there.',
  },
  {
    pattern: /Can't set last_pid|can't open last pid fd|Can't set kernel pid_max/,
    sentence: 'CRIU may not choose process IDs on this node',
    hint: 'It needs a kernel with clone3(set_tid) (5.5 or newer) or a writable /proc/sys/kernel/ns_last_pid.',
  },
  {
    pattern: /Can't fork for (\d+): (.+)/,
    sentence: ([, pid, why]) => `process ${pid} could not be made again (${why})`,
    hint: 'Check the pids limit of the pod and of the node (kubelet podPidsLimit, kernel.pid_max) and its memory.',
  },
  {
    pattern:
      /Can't restore sid|Requested sid \d+ doesn't match|Can't figure out which sid|Can't find a session leader|Current (?:sid|gid) \d+ intersects/,
    sentence: 'the sessions of its processes cannot be set up again',
    hint: 'A session was begun outside of the container: end all kubectl exec and attach sessions before migrating.',
  },
  {
    pattern:
      /tty: .*(?:dangling tty|slave peer|external peer|ctty inheritance|No CTL for TTY)|tty: Can't|tty: Unable to|Unexpected format on path/,
    sentence: 'it uses a terminal, which cannot be carried over',
    hint: 'Run the container with tty: false, and end all kubectl exec -t and attach sessions.',
  },
  {
    pattern:
      /Have no NSpid support|Invalid timer|Can't create posix timer|Can't (?:restore|dump) (?:posix timers|itimers)|timerfd: /,
    sentence: 'its timers cannot be carried over',
    hint: 'Check that both nodes have kernels of about the same age, and CRIU 4.1 or newer.',
  },
  {
    pattern: /Inconsistent sched params|Can't (?:get|set) sched p(?:olicy|aram)/,
    sentence: 'its scheduling (real time, priority) could not be carried over',
    hint: 'Let the container runtime allow it on the target node (CAP_SYS_NICE, cpu.rt_runtime_us).',
  },
  {
    pattern:
      /Can't setgroups|Unable to (?:set real|drop capability|restore capabilities|raise ambient)|capset/,
    sentence: 'its user, groups or capabilities could not be set up again',
    hint: 'The new container has fewer rights than the old one: compare securityContext, and look for webhooks that change it.',
  },
  {
    pattern: /Script .* exited with|One of more action scripts failed|RPC client reported script error/,
    sentence: 'everything was restored, but nothing was allowed to execute',
    hint: 'The migration was taken back or its time was over at that moment; the log of the action script says which.',
  },
];
