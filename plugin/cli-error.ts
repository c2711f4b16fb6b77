import { ApiError, ApiUnreachable } from '../common/kube/api-error.js';
import { LpmError, messageOf } from '../common/errors.js';
import { EXIT, type ExitCode } from './exit-code.js';

/** What a person is told: one sentence on what is wrong, and what to do next. */
export class CliError extends Error {
  override readonly name = 'CliError';
  constructor(
    message: string,
    /** Lines with the next step. */
    readonly hints: string[] = [],
    readonly exitCode: ExitCode = EXIT.failed,
    cause?: unknown,
  ) {
    super(message, { cause });
  }
}

/** The command line is wrong. */
export class UsageError extends CliError {
  constructor(message: string, hints: string[] = []) {
    super(message, hints, EXIT.usage);
  }
}

/** Whatever was thrown, as a sentence with the next step. */
export function explain(error: unknown): CliError {
  if (error instanceof CliError) return error;
  if (error instanceof LpmError) {
    return new CliError(error.message, error.hint ? [error.hint] : [], EXIT.failed, error);
  }
  if (error instanceof ApiUnreachable) {
    return new CliError(
      error.message,
      ['Check that it is the right cluster: kubectl config current-context; kubectl cluster-info'],
      EXIT.failed,
      error,
    );
  }
  if (error instanceof ApiError) return new CliError(...explainAnswer(error), EXIT.failed, error);
  return new CliError(
    `Something unexpected happened: ${messageOf(error).split('\n')[0]}`,
    ['Say it again with -v=1 to see more.'],
    EXIT.failed,
    error,
  );
}

function explainAnswer(error: ApiError): [message: string, hints: string[]] {
  if (error.code === 401) {
    return ['The cluster does not accept your credentials.', ['Check them with: kubectl auth whoami']];
  }
  if (error.isForbidden) {
    return [
      `Not allowed: ${firstLine(error.message)}`,
      [
        'Ask a cluster administrator for a role that allows it; kubectl auth can-i --list shows what you may do.',
      ],
    ];
  }
  if (error.code === 422 || error.code === 400) {
    return [`The cluster does not accept it: ${firstLine(error.message)}`, []];
  }
  const hints = error.isTransient ? ['Try again in a moment.'] : ['Say it again with -v=1 to see more.'];
  return [`The cluster answered with an error: ${firstLine(error.message)}`, hints];
}

/** What an error carries beside its sentence: for -v. */
export function details(error: unknown, verbosity: number): string[] {
  const lines: string[] = [];
  for (let cause: unknown = error; cause !== undefined && lines.length < 12;) {
    if (cause instanceof ApiError) lines.push(`HTTP ${cause.code} ${cause.reason}: ${cause.message}`);
    else if (cause instanceof Error) {
      const code = (cause as NodeJS.ErrnoException).code;
      if (!(cause instanceof CliError))
        lines.push(`${cause.name}${code ? ` ${code}` : ''}: ${cause.message}`);
      if (verbosity >= 8 && cause.stack) lines.push(cause.stack);
    } else lines.push(String(cause));
    cause = cause instanceof Error ? cause.cause : undefined;
  }
  return lines;
}

function firstLine(text: string): string {
  return text.split('\n')[0] ?? '';
}
