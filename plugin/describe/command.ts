import type { Command } from '../command.js';
import { readMigration } from '../find-migration.js';
import type { KubeFlags } from '../flags.js';

/** `kubectl migrate describe NAME|POD` */
export const describeCommand: Command<KubeFlags> = {
  name: 'describe',
  summary: 'Tell all that is known of a migration',
  help: {
    what: 'Tell all that is known of one migration: how it stands, when it was in which phase, what made up\nthe downtime, its conditions, and the events of it and of both pods.',
    examples: [
      ['A migration by its name', 'counter-x7k2p'],
      ['The newest migration of the pod counter', 'pod/counter'],
    ],
    usage: '(NAME | POD | pod/POD) [flags]',
  },
  flags: {},
  cluster: true,
  async run(invocation, args, words) {
    const migration = readMigration(words);
    const { describe } = await import('./run.js');
    return describe(invocation, args, migration);
  },
};
