import type { Command } from '../command.js';
import { readMigration } from '../find-migration.js';
import type { KubeFlags } from '../flags.js';

interface Args extends KubeFlags {
  criu: boolean;
}

/** `kubectl migrate logs NAME|POD [--criu]` */
export const logsCommand: Command<Args> = {
  name: 'logs',
  summary: 'Show what controller, agents and CRIU wrote about a migration',
  help: {
    what: "Show what was written about one migration: its events and the controller's and agents' lines in the order\nof their times, then CRIU's own logs. It is named by its name, or by its pod for the newest one of that pod.",
    examples: [
      ['All about the newest migration of the pod counter', 'counter'],
      ["CRIU's logs alone, for a bug report", 'counter-x7k2p --criu > criu.log'],
    ],
    usage: '(NAME | POD | pod/POD) [flags]',
  },
  flags: {
    criu: { type: 'boolean', default: false, description: "Only CRIU's logs" },
  },
  cluster: true,
  async run(invocation, args, words) {
    const name = readMigration(words);
    const { logs } = await import('./run.js');
    return logs(invocation, args, { ...name, criu: args.criu });
  },
};
