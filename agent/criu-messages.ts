import { CONSEQUENCE_RULES } from './criu-rules/consequences.js';
import { FILE_RULES } from './criu-rules/files.js';
import { MACHINE_RULES } from './criu-rules/machine.js';
import { MOUNT_RULES } from './criu-rules/mounts.js';
import { PROCESS_RULES } from './criu-rules/processes.js';
import { ROOM_RULES } from './criu-rules/room.js';
import type { CriuRule } from './criu-rules/rule.js';
import { RUNTIME_RULES } from './criu-rules/runtime.js';
import { SOCKET_RULES } from './criu-rules/sockets.js';

/** What a CRIU log says, for people. */
export interface CriuFinding {
  /** A clause that goes on after "…: ". */
  sentence: string;
  hint: string;
}

/** In each list what is special stands before what is general. */
const CAUSES: readonly CriuRule[] = [
  ...ROOM_RULES,
  ...FILE_RULES,
  ...SOCKET_RULES,
  ...MOUNT_RULES,
  ...PROCESS_RULES,
  ...MACHINE_RULES,
];

/** All rules, for the test that wants an example of each. */
export const ALL_RULES: readonly CriuRule[] = [...CAUSES, ...CONSEQUENCE_RULES, ...RUNTIME_RULES];

/**
 * Errors that say nothing: a limit that CRIU cannot raise for itself where CAP_SYS_RESOURCE is missing, and the end of its
 * helper when it is done.
 */
const HARMLESS = /rlimit: Can't setup RLIMIT_NOFILE for self|cgroupd: recv req error/;

/** Errors that only tell that there was one: never the first one to be quoted. */
const EMPTY =
  /(?:Dumping|Restoring|Pre-dumping) FAILED|exited, status=|failed with -?\d+$|Can't (?:stop|catch) all tasks/;

/** How CRIU ends a log when all went well. */
const FINISHED = /Dumping finished successfully|Restore finished successfully/;

/** The longest quotation of a line that nobody has translated. */
const QUOTED = 300;

/** The lines with which CRIU reports errors, without its time stamps and process numbers. */
export function errorLines(log: string): string[] {
  return log.split('\n').flatMap((line) => {
    const at = line.search(/\bError \(/);
    return at < 0 || HARMLESS.test(line) ? [] : [line.slice(at).trim()];
  });
}

/**
 * Explains a failed dump or restore from CRIU's log, and from what the OCI runtime said. An error is handed up by CRIU and
 * reported again on each level, so the first line that says something is the cause.
 *
 * @returns undefined when neither says anything
 */
export function explainCriuLog(log: string, said = ''): CriuFinding | undefined {
  const lines = errorLines(log).map((line) => line.replace(/^Error \([^)]*\):\s*/, ''));
  const known = firstMatch(lines, CAUSES) ?? firstMatch(lines, CONSEQUENCE_RULES);
  if (known) return known;
  const first = lines.find((line) => !EMPTY.test(line)) ?? lines[0];
  if (first !== undefined) {
    return {
      sentence: `CRIU says "${first.slice(0, QUOTED)}"`,
      hint: 'The end of the CRIU log goes with this message; kubectl migrate logs shows more.',
    };
  }
  const runtime = firstMatch(said.split('\n'), RUNTIME_RULES);
  if (runtime) return runtime;
  if (!log.trim() || FINISHED.test(log)) return undefined;
  return {
    sentence: 'CRIU ended in the middle of its work without a word',
    hint: 'It was probably killed: look for the OOM killer with dmesg on the node, and at its free memory.',
  };
}

/** The rule and its match for the first of the lines that any rule fits. */
export function findRule(
  lines: readonly string[],
  rules: readonly CriuRule[],
): { rule: CriuRule; found: RegExpExecArray } | undefined {
  for (const line of lines) {
    for (const rule of rules) {
      const found = rule.pattern.exec(line);
      if (found) return { rule, found };
    }
  }
  return undefined;
}

function firstMatch(lines: readonly string[], rules: readonly CriuRule[]): CriuFinding | undefined {
  const match = findRule(lines, rules);
  if (!match) return undefined;
  const { sentence, hint } = match.rule;
  return { sentence: typeof sentence === 'string' ? sentence : sentence(match.found), hint };
}

/** The end of a log, for ErrorDetail.log: at most `bytes` bytes, whole lines. */
export function logTail(log: string, bytes = 8192): string {
  const tail = log.length > bytes ? log.slice(-bytes).replace(/^[^\n]*\n/, '') : log;
  return tail.trimEnd();
}
