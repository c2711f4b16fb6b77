import type { Command } from '../command.js';
import { readMigration } from '../find-migration.js';
import { durationFlag, outputFlag, plainFlag, type KubeFlags } from '../flags.js';
import { OBJECT_FORMATS, type ObjectFormat } from '../output/format.js';

interface Args extends KubeFlags {
  watch: boolean;
  timeout: string;
  output?: ObjectFormat;
  plain: boolean;
}

/** `kubectl migrate status NAME|POD [-w]` */
export const statusCommand: Command<Args> = {
  name: 'status',
  summary: 'Show how a migration stands or how it went',
  help: {
    what: 'Show one migration: by its name, or the newest one of a pod.',
    examples: [
      ['The newest migration of the pod counter', 'counter'],
      ['Follow a migration to its end; the exit code is its outcome', 'counter-x7k2p -w'],
      ['All that is known of it', 'counter-x7k2p -o yaml'],
    ],
    usage: '(NAME | POD | pod/POD) [flags]',
  },
  flags: {
    watch: { alias: 'w', type: 'boolean', default: false, description: 'Follow it to its end' },
    timeout: {
      type: 'string',
      requiresArg: true,
      default: '0',
      defaultDescription: 'for ever',
      value: 'DURATION',
      description: 'How long to follow it',
    },
    ...outputFlag(OBJECT_FORMATS),
    ...plainFlag,
  },
  cluster: true,
  async run(invocation, args, words) {
    const migration = readMigration(words);
    const timeoutMs = durationFlag('timeout', args.timeout);
    const { status } = await import('./run.js');
    return status(invocation, args, {
      ...migration,
      watch: args.watch,
      timeoutMs,
      plain: args.plain,
      ...(args.output === undefined ? {} : { output: args.output }),
    });
  },
};
