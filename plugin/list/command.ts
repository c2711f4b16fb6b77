import type { Command } from '../command.js';
import { allNamespacesFlag, outputFlag, sortByFlag, type KubeFlags } from '../flags.js';
import { OBJECT_FORMATS, type ObjectFormat } from '../output/format.js';
import { requireNoWords } from '../no-words.js';

interface Args extends KubeFlags {
  allNamespaces: boolean;
  sortBy?: string;
  output?: ObjectFormat;
}

/** `kubectl migrate list` */
export const listCommand: Command<Args> = {
  name: 'list',
  aliases: ['ls'],
  summary: 'List migrations',
  help: {
    what: 'List the migrations of a namespace, or of all namespaces.',
    examples: [
      ['The migrations of the current namespace', ''],
      ['Those of all namespaces, with more columns', '-A -o wide'],
      ['The longest pauses last', '--sort-by .status.downtimeMilliseconds'],
      ['Columns of your own', '-o custom-columns=POD:.spec.podName,PAUSE:.status.downtimeMilliseconds'],
    ],
    usage: '[flags]',
  },
  flags: {
    ...allNamespacesFlag,
    ...sortByFlag,
    ...outputFlag(OBJECT_FORMATS),
  },
  cluster: true,
  async run(invocation, args, words) {
    requireNoWords('list', words, [`Look at one with: ${invocation.program} status ${words[0]}`]);
    const { list } = await import('./run.js');
    return list(invocation, args, {
      allNamespaces: args.allNamespaces,
      ...(args.sortBy === undefined ? {} : { sortBy: args.sortBy }),
      ...(args.output === undefined ? {} : { output: args.output }),
    });
  },
};
