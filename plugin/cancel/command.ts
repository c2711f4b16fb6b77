import type { Command } from '../command.js';
import { readMigration } from '../find-migration.js';
import { durationFlag, outputFlag, plainFlag, waitFlags, type KubeFlags } from '../flags.js';
import { OBJECT_FORMATS, type ObjectFormat } from '../output/format.js';

interface Args extends KubeFlags {
  wait: boolean;
  timeout: string;
  output?: ObjectFormat;
  plain: boolean;
}

/** `kubectl migrate cancel NAME` */
export const cancelCommand: Command<Args> = {
  name: 'cancel',
  summary: 'Cancel a migration: the pod runs on where it is',
  help: {
    what: 'Cancel a migration by its name, or the one of a pod that is going on. What was done is rolled back and the pod runs\non where it is. Once the restored processes execute it is too late: that is refused, and nothing is changed.',
    examples: [
      ['Cancel a migration and wait until the pod runs on', 'counter-x7k2p'],
      ['Cancel whatever migration of the pod counter is going on', 'pod/counter'],
      ['Ask for it without waiting', 'counter-x7k2p -n shop --no-wait'],
    ],
    usage: '(NAME | POD | pod/POD) [flags]',
  },
  flags: { ...waitFlags, ...outputFlag(OBJECT_FORMATS), ...plainFlag },
  cluster: true,
  async run(invocation, args, words) {
    const migration = readMigration(words);
    const timeoutMs = durationFlag('timeout', args.timeout);
    const { cancel } = await import('./run.js');
    return cancel(invocation, args, {
      ...migration,
      wait: args.wait,
      timeoutMs,
      plain: args.plain,
      ...(args.output === undefined ? {} : { output: args.output }),
    });
  },
};
