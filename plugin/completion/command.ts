import type { Command } from '../command.js';

interface Args {
  install: boolean;
  dir?: string;
}

/** `kubectl migrate completion` */
export const completionCommand: Command<Args> = {
  name: 'completion',
  summary: 'Set up completion with the Tab key',
  help: {
    what: `Set up completion of commands, flags, pods, nodes and migrations with the Tab key.

kubectl asks a program kubectl_complete-<plugin> on the PATH what may follow (kubectl 1.26 and newer), in every shell in
which kubectl itself completes (kubectl completion --help). Without flags the text of that program is printed.`,
    examples: [
      ['Put it beside the plugin, where krew has its own programs', '--install'],
      ['Put it somewhere else on the PATH', '--install --dir ~/.local/bin'],
      ['See what it would be', ''],
    ],
    usage: '[--install [--dir FOLDER]]',
  },
  flags: {
    install: { type: 'boolean', default: false, description: 'Write the program, in place of printing it' },
    dir: {
      type: 'string',
      requiresArg: true,
      value: 'FOLDER',
      description: 'Where to write it (default: the folder from which this plugin is called)',
    },
  },
  cluster: false,
  async run(invocation, args, words) {
    const { setUpCompletion } = await import('./set-up.js');
    return setUpCompletion(invocation, args, words);
  },
};
