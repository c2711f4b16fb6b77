import type { Command } from '../command.js';
import { allNamespacesFlag, plainFlag, type KubeFlags } from '../flags.js';
import { requireNoWords } from '../no-words.js';

interface Args extends KubeFlags {
  allNamespaces: boolean;
  once: boolean;
  plain: boolean;
}

/** `kubectl migrate top` */
export const topCommand: Command<Args> = {
  name: 'top',
  summary: 'Watch all migrations that are going on',
  help: {
    what: `Show the migrations that are going on, live: phase, time, bytes and rate while data moves, and the downtime
counting up while a pod is frozen. Those that have just ended stay for a moment. Ends with Ctrl-C.
Where no terminal can draw, each change is a line with the time.`,
    examples: [
      ['Those of this namespace', ''],
      ['Those of all namespaces', '-A'],
      ['Once, for a script', '-A --once'],
    ],
    usage: '[flags]',
  },
  flags: {
    ...allNamespacesFlag,
    once: { type: 'boolean', default: false, description: 'Print how they stand and end' },
    ...plainFlag,
  },
  cluster: true,
  async run(invocation, args, words) {
    requireNoWords('top', words, [`Follow one migration with: ${invocation.program} status ${words[0]} -w`]);
    const { top } = await import('./run.js');
    return top(invocation, args, {
      allNamespaces: args.allNamespaces,
      once: args.once,
      plain: args.plain,
    });
  },
};
