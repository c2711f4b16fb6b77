import yargs from 'yargs';
import { details, explain, UsageError } from './cli-error.js';
import { forYargs, type AnyCommand } from './command.js';
import { EXIT, type ExitCode } from './exit-code.js';
import { COLORS, commonFlags, kubeFlags, type Color } from './flags.js';
import { Invocation, version } from './invocation.js';
import { normalize } from './normalize.js';
import { PROGRAMS, type Call, type ProgramName } from './programs.js';
import { flow, paint } from './terminal.js';
import { near } from './text/suggest.js';

/** Runs one command line and returns its exit code. Never throws. */
export async function run({ program: name, written, args: rawArgs }: Call): Promise<ExitCode> {
  const args = normalize(rawArgs);
  const invocation = new Invocation(written, colorOf(args));
  const leave = () => {
    // The second Ctrl-C means it.
    if (invocation.detach.signal.aborted) process.exit(EXIT.detached);
    invocation.detach.abort();
  };
  process.on('SIGINT', leave);
  const called = calledCommand(name, args);
  if (called) invocation.command = `${written} ${called.name}`;
  try {
    await parse(name, invocation, args.length === 0 ? ['--help'] : args, called);
    return invocation.exitCode;
  } catch (error) {
    return complain(invocation, error, verbosity(args));
  } finally {
    process.off('SIGINT', leave);
    invocation.close();
  }
}

/** The command that the first word names: what is wrong with its flags is told before it runs. */
function calledCommand(program: ProgramName, [first]: readonly string[]): AnyCommand | undefined {
  return PROGRAMS[program].find(
    ({ name, aliases = [] }) => name !== '' && (name === first || aliases.includes(first ?? '')),
  );
}

async function parse(
  name: ProgramName,
  invocation: Invocation,
  args: string[],
  called: AnyCommand | undefined,
): Promise<void> {
  const commands = PROGRAMS[name];
  const parser = yargs(args)
    .scriptName(invocation.program)
    .locale('en')
    .parserConfiguration({ 'greedy-arrays': false })
    // Before the options: they bring a help of our own.
    .help(false)
    .version('version', 'Print the version', `Client Version: ${version}`)
    .options(commonFlags)
    .strict()
    .exitProcess(false)
    .showHelpOnFail(false)
    .fail((message, error) => {
      // yargs throws its own complaints as YError, and hands on what a command threw.
      throw error && error.name !== 'YError'
        ? error
        : betterUsage(error?.message ?? message, called ?? commands[0]!);
    });
  for (const command of commands) parser.command(forYargs(command, commands, invocation));
  await parser.parseAsync();
}

/** yargs' words for a wrong command line, in kubectl's manner and with what may have been meant. */
function betterUsage(message: string, command: AnyCommand): UsageError {
  const unknown = /^Unknown arguments?: (.*)$/.exec(message)?.[1]?.split(', ')[0];
  if (unknown !== undefined) {
    const flags = [commonFlags, command.cluster ? kubeFlags : {}, command.flags].flatMap(Object.keys);
    const meant = near(unknown, flags, 1).map((flag) => `--${flag}`);
    return new UsageError(`Unknown flag: ${unknown.length === 1 ? '-' : '--'}${unknown}.`, [
      ...(meant.length > 0 ? [`Did you mean ${meant.join(' or ')}?`] : []),
    ]);
  }
  const missing = /^Not enough arguments following: (.*)$/.exec(message)?.[1];
  if (missing !== undefined) {
    return new UsageError(`The value of ${missing.length === 1 ? '-' : '--'}${missing} is missing.`);
  }
  const choice = /Argument: ([\w-]+), Given: (.*), Choices: (.*)$/s.exec(message);
  if (choice) {
    const [, flag = '', given = '', choices = ''] = choice;
    const dashes = flag.length === 1 ? '-' : '--';
    return new UsageError(`${dashes}${flag} cannot be ${given.trim()}; it takes ${choices.trim()}.`);
  }
  return new UsageError(message.split('\n')[0] ?? message);
}

function complain(invocation: Invocation, error: unknown, level: number): ExitCode {
  const screen = invocation.terminal({});
  const { err, color } = screen;
  // Left while the cluster was being asked. A creation that was on its way may have arrived.
  if (invocation.detach.signal.aborted) {
    err(`Interrupted. See whether anything was begun: ${invocation.program} list`);
    return EXIT.detached;
  }
  const { message, hints, exitCode } = explain(error);
  err(paint(color).red(flow(screen, `error: ${message}`)));
  for (const hint of hints) err(flow(screen, hint));
  if (exitCode === EXIT.usage) err(`See: ${invocation.command} --help`);
  if (level > 0) for (const line of details(error, level)) err(`  ${line}`);
  return exitCode;
}

/** Read before the parser: what it complains about is coloured, too. */
function colorOf(args: readonly string[]): Color {
  const at = args.findLastIndex((arg) => arg === '--color' || arg.startsWith('--color='));
  const given = args[at]?.split('=')[1] ?? args[at + 1];
  return COLORS.find((color) => at >= 0 && color === given) ?? 'auto';
}

function verbosity(args: readonly string[]): number {
  const given = args.findLast((arg) => arg.startsWith('--v='));
  return given ? Number(given.slice('--v='.length)) || 0 : 0;
}
