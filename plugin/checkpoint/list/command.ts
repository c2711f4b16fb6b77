import type { Command } from '../../command.js';
import { allNamespacesFlag, outputFlag, sortByFlag, type KubeFlags } from '../../flags.js';
import { OBJECT_FORMATS, type ObjectFormat } from '../../output/format.js';
import { requireNoWords } from '../../no-words.js';

interface Args extends KubeFlags {
  allNamespaces: boolean;
  selector?: string;
  sortBy?: string;
  migrations: boolean;
  output?: ObjectFormat;
}

/** `kubectl checkpoint list` */
export const listCheckpointsCommand: Command<Args> = {
  name: 'list',
  aliases: ['ls'],
  summary: 'List checkpoints',
  help: {
    what: 'List the checkpoints of a namespace, or of all namespaces: of what, how large, and where they lie.',
    examples: [
      ['The checkpoints of the current namespace', ''],
      ['Those of all namespaces, with more columns', '-A -o wide'],
      ['The largest last', '--sort-by .status.sizeBytes'],
      ['Also those that migrations made on their way', '--migrations'],
    ],
    usage: '[flags]',
  },
  flags: {
    ...allNamespacesFlag,
    selector: {
      alias: 'l',
      type: 'string',
      requiresArg: true,
      value: 'SELECTOR',
      description: 'Only checkpoints with these labels',
    },
    migrations: {
      type: 'boolean',
      default: false,
      description: 'Also those that belong to migrations',
    },
    ...sortByFlag,
    ...outputFlag(OBJECT_FORMATS),
  },
  cluster: true,
  async run(invocation, args, words) {
    requireNoWords('list', words, [`Look at one with: ${invocation.program} describe ${words[0]}`]);
    const { listCheckpoints } = await import('./run.js');
    return listCheckpoints(invocation, args, {
      allNamespaces: args.allNamespaces,
      migrations: args.migrations,
      ...(args.sortBy === undefined ? {} : { sortBy: args.sortBy }),
      ...(args.selector === undefined ? {} : { selector: args.selector }),
      ...(args.output === undefined ? {} : { output: args.output }),
    });
  },
};
