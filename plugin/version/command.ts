import type { Command } from '../command.js';
import type { KubeFlags } from '../flags.js';
import { outputFlag } from '../flags.js';
import { DATA_FORMATS, type DataFormat } from '../output/format.js';
import { requireNoWords } from '../no-words.js';

interface Args extends KubeFlags {
  client: boolean;
  output?: DataFormat;
}

/** `kubectl migrate version` */
export const versionCommand: Command<Args> = {
  name: 'version',
  summary: 'Print the versions of this program, the controller and the agents',
  help: {
    what: 'Print the versions of this program, of the controller and of the agents on the nodes, as far as you may see them.',
    examples: [
      ['All versions', ''],
      ['Only that of this program; asks no cluster', '--client'],
      ['For a program', '-o json'],
    ],
    usage: '[flags]',
  },
  flags: {
    client: { type: 'boolean', default: false, description: 'Only the version of this program' },
    ...outputFlag(DATA_FORMATS),
  },
  cluster: true,
  async run(invocation, args, words) {
    requireNoWords('version', words);
    const { tellVersions } = await import('./run.js');
    return tellVersions(invocation, args, {
      client: args.client,
      ...(args.output === undefined ? {} : { output: args.output }),
    });
  },
};
