import { SYSTEM_NAMESPACE } from '../../common/api/names.js';
import { UsageError } from '../cli-error.js';
import type { Command } from '../command.js';
import { durationFlag, plainFlag, type KubeFlags } from '../flags.js';
import { requireNoWords } from '../no-words.js';

interface Args extends KubeFlags {
  keepCheckpoints: boolean;
  force: boolean;
  yes: boolean;
  timeout: string;
  plain: boolean;
}

/** `kubectl migrate uninstall` */
export const uninstallCommand: Command<Args> = {
  name: 'uninstall',
  summary: 'Take all of it away from the cluster and its nodes again',
  help: {
    what: `Take live pod migration away again, in the right order: migrations, checkpoints with their archives,
what the agents have put on the nodes, controller and agents, roles, namespace, and the CRDs last.
Pods that were migrated run on. Refuses while migrations are under way and while restored pods
still need the runtime handler, and asks before it begins. Can be left and called again.`,
    examples: [
      ['Take it away, after a question', ''],
      ['Keep the checkpoints and their archives for a later installation', '--keep-checkpoints'],
      ['Without being asked, for scripts', '--yes'],
      ['Although restored pods run: their containers cannot be started again afterwards', '--force'],
    ],
    usage: '[flags]',
  },
  flags: {
    'keep-checkpoints': {
      type: 'boolean',
      default: false,
      description: 'Leave the checkpoints: their objects, CRDs and archives',
    },
    force: {
      type: 'boolean',
      default: false,
      description:
        'Although migrations are under way (they are rolled back) or restored pods need the handler',
    },
    yes: {
      alias: 'y',
      type: 'boolean',
      default: false,
      description: 'Do not ask; needed where there is no terminal',
    },
    timeout: {
      type: 'string',
      requiresArg: true,
      default: '5m',
      value: 'DURATION',
      description: 'How long one step may take; 0 for ever',
    },
    ...plainFlag,
  },
  cluster: true,
  async run(invocation, args, words) {
    requireNoWords('uninstall', words);
    if (args.namespace !== undefined && args.namespace !== SYSTEM_NAMESPACE) {
      throw new UsageError(
        `Controller and agents run in the namespace ${SYSTEM_NAMESPACE}, and in no other.`,
      );
    }
    const timeoutMs = durationFlag('timeout', args.timeout);
    const { uninstall } = await import('./run.js');
    return uninstall(invocation, args, {
      keepCheckpoints: args.keepCheckpoints,
      force: args.force,
      yes: args.yes,
      timeoutMs,
      plain: args.plain,
    });
  },
};
