/** What a CRIU log says, for people. */
export interface CriuFinding {
  /** A clause that goes on after "…: ". */
  sentence: string;
  hint: string;
}

interface Rule extends CriuFinding {
  pattern: RegExp;
}

/**
 * Sentences for the failures that users meet. The patterns are CRIU's own messages (criu 3.17 – 4.2 sources); the first rule
 * that fits any error line wins, so causes stand before consequences.
 */
const RULES: readonly Rule[] = [
  {
    pattern: /io_uring/i,
    sentence: 'a process uses io_uring, which CRIU cannot dump',
    hint: 'Switch io_uring off in the program (Node.js: UV_USE_IO_URING=0) or forbid it by a seccomp profile.',
  },
  {
    pattern: /Connected TCP socket|consider using --tcp-established/i,
    sentence: 'it has established TCP connections, which were to be refused',
    hint: 'Allow that they are closed (--tcp close), or wait until there are none.',
  },
  {
    pattern: /In-flight connection/i,
    sentence: 'a TCP connection is just being made on a listening socket',
    hint: 'Try again; connections in this state last milliseconds.',
  },
  {
    pattern: /External socket is used|can't dump half of (?:stream )?unix connection|unix socket.*external/i,
    sentence: 'it has a connected unix socket whose other end is outside of the container',
    hint: 'Close the connection (another container of the pod, a log daemon, a driver) before trying again.',
  },
  {
    pattern: /Can't dump ghost file|ghost file .* is too big|larger than --ghost-limit/i,
    sentence: 'it holds a deleted file open that is larger than the limit',
    hint: 'Let the program close its deleted files; the limit is 64 MiB.',
  },
  {
    pattern: /link[-_]remap|Can't create link remap|--link-remap/i,
    sentence: 'it holds a file open that was deleted or renamed but is still linked elsewhere',
    hint: 'Let the program close it (often a rotated log) before trying again.',
  },
  {
    pattern: /Can't dump file .* of that type|unsupported (?:file|char device)|chr_dev|Can't find.*\bdev\b/i,
    sentence: 'it holds a file open of a kind that CRIU cannot dump, such as a device',
    hint: 'Look at the log for the path; GPUs and other devices cannot be moved.',
  },
  {
    pattern: /has bad size (\d+) \(expect (\d+)\)/,
    sentence: 'a file that it had open has another size here than when it was frozen',
    hint: 'Something else writes into its volume or file system.',
  },
  {
    pattern: /Can't open file .* on restore|open_path.*No such file|Can't open file/i,
    sentence: 'a file that it had open is missing on this node',
    hint: 'The file lies on a volume that was not carried over, or in an image of another version.',
  },
  {
    pattern: /Can't bind inet socket|Can't bind/i,
    sentence: 'it is bound to an address that this pod does not have',
    hint: 'Programs that listen on their pod IP cannot keep it on another node; let them listen on 0.0.0.0.',
  },
  {
    pattern: /cpu .*(?:feature|insufficient|mismatch)|CPU .* not (?:supported|present)|cpu-cap/i,
    sentence: "this node's CPU lacks a feature that the process was started with",
    hint: 'Choose a target with the same CPU features.',
  },
  {
    pattern: /Can't fork for \d+|Pid \d+ do not match expected|write_set_tid|clone3.*EEXIST/i,
    sentence: 'a process ID that it had is taken',
    hint: 'Containers that share the PID namespace of their pod cannot be restored.',
  },
  {
    pattern:
      /mnt:.*(?:No mapping|doesn't have a proper root mount|unreachable|No parent found)|Can't (?:lookup|find) mount/i,
    sentence: 'it has a mount that CRIU cannot follow',
    hint: 'Look at the log for the mount point.',
  },
  {
    pattern: /vdso/i,
    sentence: 'this CRIU does not get along with this kernel (vDSO)',
    hint: 'Install CRIU 4.0 or newer.',
  },
  {
    pattern: /iptables|nftables|network[-_ ]lock/i,
    sentence: 'CRIU could not lock the network',
    hint: 'Install iptables or nftables on the node.',
  },
  {
    pattern: /No space left on device/i,
    sentence: "the node's disk is full",
    hint: 'Make room below /var/lib/lpm.',
  },
  {
    pattern: /Unable to (?:seize|freeze)|seize.*(?:Operation not permitted|failed)|Can't seize/i,
    sentence: 'a process could not be stopped, perhaps because a debugger holds it',
    hint: 'Detach debuggers and tracers (strace, gdb) from the container.',
  },
  {
    pattern: /tty:.*(?:Can't|Found dangling|Can't find)|Found slave peer without correct|shell-job/i,
    sentence: 'it uses a terminal, which cannot be carried over',
    hint: 'Run the container with tty: false.',
  },
];

/** The lines with which CRIU reports errors, without its time stamps. */
export function errorLines(log: string): string[] {
  return (
    log
      .split('\n')
      .filter((line) => /\bError \(/.test(line))
      // A limit that CRIU cannot raise for itself; it says so in every log where CAP_SYS_RESOURCE is missing, and goes on.
      .filter((line) => !/rlimit: Can't setup RLIMIT_NOFILE for self/.test(line))
      .map((line) =>
        line
          .replace(/^\([\d.]+\)\s*/, '')
          .replace(/^\s*\d+:\s*/, '')
          .trim(),
      )
  );
}

/** Explains a failed dump or restore from its log. Answers undefined when the log reports no error. */
export function explainCriuLog(log: string): CriuFinding | undefined {
  const lines = errorLines(log);
  if (lines.length === 0) return undefined;
  for (const { pattern, sentence, hint } of RULES) {
    if (lines.some((line) => pattern.test(line))) return { sentence, hint };
  }
  const first = (lines[0] ?? '').replace(/^Error \([^)]*\):\s*/, '');
  return { sentence: `CRIU says "${first}"`, hint: 'The end of the CRIU log goes with this message.' };
}

/** The end of a log, for ErrorDetail.log: at most `bytes` bytes, whole lines. */
export function logTail(log: string, bytes = 8192): string {
  const tail = log.length > bytes ? log.slice(-bytes).replace(/^[^\n]*\n/, '') : log;
  return tail.trimEnd();
}
