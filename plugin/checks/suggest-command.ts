import { CliError } from '../cli-error.js';
import { near } from '../text/suggest.js';

/** Runs a check; when there is no such pod, its name may be a mistyped subcommand, and that is said too. */
export function suggestCommand<T>(word: string, subcommands: readonly string[], check: () => T): T {
  try {
    return check();
  } catch (error) {
    const [command] = near(word, subcommands, 1);
    if (!(error instanceof CliError) || !command || !error.message.startsWith('There is no pod')) throw error;
    throw new CliError(error.message, [...error.hints, `If you meant the command: ${command}`]);
  }
}
