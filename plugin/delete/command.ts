import { UsageError } from '../cli-error.js';
import type { Command } from '../command.js';
import { waitFlags, durationFlag, type KubeFlags } from '../flags.js';

interface Args extends KubeFlags {
  finished: boolean;
  allNamespaces: boolean;
  wait: boolean;
  timeout: string;
}

/** `kubectl migrate delete NAME... | --finished` */
export const deleteCommand: Command<Args> = {
  name: 'delete',
  aliases: ['rm'],
  summary: 'Delete migrations: their record, not the pods',
  help: {
    what: `Delete migrations. The pods that were moved stay. One that is going on is rolled back first: its pod runs on
where it is; one that is past its commit is completed first.`,
    examples: [
      ['One migration', 'counter-x7k2p'],
      ['All that are over, in this namespace', '--finished'],
      ['All that are over, everywhere', '--finished -A'],
    ],
    usage: '(NAME... | --finished [-A]) [flags]',
  },
  flags: {
    finished: { type: 'boolean', default: false, description: 'All migrations that are over' },
    'all-namespaces': {
      alias: 'A',
      type: 'boolean',
      default: false,
      description: 'With --finished: those of all namespaces',
    },
    ...waitFlags,
  },
  cluster: true,
  async run(invocation, args, words) {
    if (words.length > 0 && args.finished) {
      throw new UsageError('Name migrations, or say --finished: not both.');
    }
    if (words.length === 0 && !args.finished) throw new UsageError('Which migration?');
    if (args.allNamespaces && !args.finished) throw new UsageError('-A goes with --finished.');
    const timeoutMs = durationFlag('timeout', args.timeout);
    const { deleteMigrations } = await import('./run.js');
    return deleteMigrations(invocation, args, {
      names: words.map((word) => word.replace(/^(podmigrations?|pmig)(\.lpm\.my\.domain)?\//, '')),
      finished: args.finished,
      allNamespaces: args.allNamespaces,
      wait: args.wait,
      timeoutMs,
    });
  },
};
