import { UsageError } from '../cli-error.js';
import type { Command } from '../command.js';
import { outputFlag, type KubeFlags } from '../flags.js';
import type { ObjectFormat } from '../print-object.js';

interface Args extends KubeFlags {
  allNamespaces: boolean;
  output?: ObjectFormat | 'wide';
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
    ],
    usage: '[flags]',
  },
  flags: {
    'all-namespaces': {
      alias: 'A',
      type: 'boolean',
      default: false,
      description: 'Those of all namespaces',
    },
    ...outputFlag(['wide', 'json', 'yaml', 'name']),
  },
  cluster: true,
  async run(invocation, args, words) {
    // One name is a question for `status`.
    if (words.length > 0) {
      throw new UsageError(`"list" takes no name: what is "${words.join(' ')}"?`);
    }
    const { list } = await import('./run.js');
    return list(invocation, args, {
      allNamespaces: args.allNamespaces,
      ...(args.output === undefined ? {} : { output: args.output }),
    });
  },
};
