import type { Arguments, CommandModule } from 'yargs';
import { UsageError } from './cli-error.js';
import type { ExitCode } from './exit-code.js';
import { commonFlags, kubeFlags, type Flag } from './flags.js';
import { helpLines, type HelpText } from './help.js';
import type { Invocation } from './invocation.js';

/** One command of a program: what it says of itself, its flags, and what it does. */
export interface Command<Args = never> {
  /** Empty for what the program does by itself. */
  name: string;
  aliases?: string[];
  /** One line for the list of commands. */
  summary: string;
  help: HelpText;
  flags: Record<string, Flag>;
  /** It asks a cluster, so it takes kubectl's connection flags. */
  cluster: boolean;
  /** `words` are the arguments that are no flags. */
  run(invocation: Invocation, args: Args, words: string[]): Promise<ExitCode> | ExitCode;
}

export type AnyCommand = Command<never>;

/** The command for yargs. `siblings` are listed in the help of the program itself. */
export function forYargs(
  command: AnyCommand,
  siblings: readonly AnyCommand[],
  invocation: Invocation,
): CommandModule {
  // What a command calls like one of kubectl's flags is the command's.
  const flags = { ...(command.cluster ? kubeFlags : {}), ...command.flags };
  const path = `${invocation.program} ${command.name}`.trim();
  return {
    command: `${command.name || '$0'} [words..]`,
    aliases: command.aliases ?? [],
    describe: command.summary,
    builder: (yargs) => yargs.positional('words', { type: 'string', array: true }).options(flags),
    handler: async (args: Arguments) => {
      invocation.command = path;
      if (args['help']) {
        invocation.terminal({}).out(commandHelp(command, siblings, invocation.program));
        return;
      }
      requireSingle(args, flags);
      const words = (args['words'] as string[] | undefined) ?? [];
      invocation.exitCode = await command.run(invocation, args as never, words);
    },
  };
}

/** What `--help` says of a command, for the terminal of this process. */
export function commandHelp(command: AnyCommand, siblings: readonly AnyCommand[], program: string): string {
  const commands = command.name === '' ? siblings.filter(({ name }) => name !== '') : [];
  const sections = [
    { title: 'Flags', flags: { ...command.flags, ...commonFlags } },
    ...(command.cluster ? [{ title: 'Connection', flags: without(kubeFlags, command.flags) }] : []),
  ];
  const width = Math.min(110, process.stdout.columns ?? 100);
  const listed = commands.map(({ name, summary }): [string, string] => [name, summary]);
  const path = `${program} ${command.name}`.trim();
  return helpLines(path, command.help, listed, sections, width).join('\n');
}

function without(flags: Record<string, Flag>, own: Record<string, Flag>): Record<string, Flag> {
  return Object.fromEntries(Object.entries(flags).filter(([name]) => !(name in own)));
}

/** A flag that is given twice has two values in yargs: that is a slip, not a wish. */
function requireSingle(args: Arguments, flags: Record<string, Flag>): void {
  for (const [flag, options] of Object.entries(flags)) {
    if (!options.array && Array.isArray(args[flag])) {
      throw new UsageError(`--${flag} can be given only once.`);
    }
  }
}
