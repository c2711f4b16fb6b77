import type { CriuRule } from './rule.js';

/** Lines that say where it ended rather than why: they are asked only when no other line of the log says more. */
export const CONSEQUENCE_RULES: readonly CriuRule[] = [
  {
    pattern:
      /mnt(?:-v2)?: (?:Unable to (?:mount|bind-mount|open) (\S+?)|Can't (?:bind-)?mount(?:-at| at)? (\S+?)|Can't (?:stat|open) (?:mountpoint )?(\S+?))(?: .*)?: (.+)/,
    sentence: ([, a, b, c, why]) => `${a ?? b ?? c} could not be mounted again on this node (${why})`,
    hint: 'The image or a volume differs from the source: compare the mounts of both containers.',
  },
  {
    pattern: /cg(?:-prop|roupd)?: /,
    sentence: 'its cgroups could not be set up again',
    hint: 'Both nodes must use the same cgroup version and driver.',
  },
  {
    pattern:
      /parasite|Parasite|Can't infect|Can't inject (?:syscall blob|memfd args)|Can't switch parasite|Unexpected \d+ task interruption|ack we expected|Can't create memfd in victim|remote mmap\(\) failed/,
    sentence: 'CRIU could not work inside of a process',
    hint: 'A seccomp profile or security module may forbid it (CRIU before 4.1), or the process was killed meanwhile: look at dmesg.',
  },
  {
    pattern: /killed by signal (?:4|11)\b|Restorer (?:fail|stack smash)|Restorer abnormal termination/,
    sentence: 'a process crashed while it was restored',
    hint: 'The nodes differ too much (CPU, kernel, CRIU version), or a file that it has mapped is another one here.',
  },
  {
    pattern: /killed by signal 9\b/,
    sentence: 'a process was killed while it was restored',
    hint: 'The pod may have reached its memory limit: look for the OOM killer with dmesg on the node.',
  },
  {
    pattern: /\d+ killed by signal (\d+)/,
    sentence: ([, signal]) => `a process was ended by signal ${signal} while it was restored`,
    hint: 'Look at dmesg on the node.',
  },
];
