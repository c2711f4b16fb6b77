import type { Command } from '../command.js';
import { EXIT } from '../exit-code.js';
import { version } from '../invocation.js';

interface Args {
  output?: 'json';
}

/** `kubectl migrate version`: this program's own; asks no cluster. */
export const versionCommand: Command<Args> = {
  name: 'version',
  summary: 'Print the version of this program',
  help: { what: 'Print the version of this program.', examples: [['The version', '']], usage: '[-o json]' },
  flags: {
    output: {
      alias: 'o',
      choices: ['json'],
      requiresArg: true,
      value: 'json',
      description: 'Print it as JSON',
    },
  },
  cluster: false,
  run(invocation, { output }) {
    const { out } = invocation.terminal({});
    if (output === 'json') {
      out(JSON.stringify({ clientVersion: { version, node: process.version } }, null, 4));
    } else out(`Client Version: ${version}`);
    return EXIT.done;
  },
};
