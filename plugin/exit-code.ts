/** Exit codes: the outcome for scripts. */
export const EXIT = {
  done: 0,
  /** The migration failed, or was refused, or could not be asked for. */
  failed: 1,
  /** The command line is wrong. */
  usage: 2,
  /** Waiting took too long, as timeout(1) says it. */
  timedOut: 124,
  /** Left with Ctrl-C, as shells say it for SIGINT; what was begun goes on. */
  detached: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];
