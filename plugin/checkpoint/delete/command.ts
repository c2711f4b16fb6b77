import { UsageError } from '../../cli-error.js';
import type { Command } from '../../command.js';
import { durationFlag, type KubeFlags } from '../../flags.js';
import { readCheckpoints } from '../find.js';

interface Args extends KubeFlags {
  selector?: string;
  wait: boolean;
  timeout: string;
}

/** `kubectl checkpoint delete NAME...` */
export const deleteCheckpointCommand: Command<Args> = {
  name: 'delete',
  aliases: ['rm'],
  summary: 'Delete checkpoints, and their archives unless they are to be kept',
  help: {
    what: 'Delete checkpoints. Their archives go with them, unless the checkpoint was made with --retain.',
    examples: [
      ['Delete a checkpoint and its archive', 'before-upgrade'],
      ['Several, without waiting until the archives are gone', 'first second --no-wait'],
    ],
    usage: '(NAME... | -l SELECTOR) [flags]',
  },
  flags: {
    selector: {
      alias: 'l',
      type: 'string',
      requiresArg: true,
      value: 'SELECTOR',
      description: 'Every checkpoint with these labels',
    },
    wait: {
      type: 'boolean',
      default: true,
      description: 'Wait until they are gone; or --no-wait',
    },
    timeout: {
      type: 'string',
      requiresArg: true,
      default: '2m',
      value: 'DURATION',
      description: 'How long to wait; 0 waits for ever',
    },
  },
  cluster: true,
  async run(invocation, args, words) {
    if (args.selector !== undefined && words.length > 0) {
      throw new UsageError(`Either names or a selector (-l): what is "${words[0]}"?`);
    }
    const names = args.selector === undefined ? readCheckpoints(words) : [];
    const timeoutMs = durationFlag('timeout', args.timeout);
    const { deleteCheckpoints } = await import('./run.js');
    return deleteCheckpoints(invocation, args, {
      names,
      ...(args.selector === undefined ? {} : { selector: args.selector }),
      wait: args.wait,
      timeoutMs,
    });
  },
};
