/**
 * What is answered before a parser is loaded: plain requests for help. Everything else, and every doubt, is the parser's.
 * Half of the time that `--help` takes would otherwise go into loading it.
 */
import { commandHelp } from './command.js';
import { PROGRAMS, type Call } from './programs.js';

const HELP = new Set(['--help', '-h', 'help']);

/** The help that these arguments plainly ask for. */
export function earlyHelp({ program: name, written: program, args }: Call): string | undefined {
  const commands = PROGRAMS[name];
  if (args.length === 0) return commandHelp(commands[0]!, commands, program);
  const words = args.filter((arg) => !HELP.has(arg));
  // Flags with values need a parser to be told from words.
  if (words.length === args.length || words.length > 1 || words[0]?.startsWith('-')) return undefined;
  const [word] = words;
  const command =
    word === undefined
      ? commands[0]
      : commands.find(({ name, aliases = [] }) => name === word || aliases.includes(word));
  return command && commandHelp(command, commands, program);
}
