import { UsageError } from '../../cli-error.js';
import type { Command } from '../../command.js';
import { plainFlag, type KubeFlags } from '../../flags.js';
import { readCheckpoint } from '../find.js';

interface Args extends KubeFlags {
  filename?: string;
  plain: boolean;
}

/** `kubectl checkpoint export NAME -f FILE` */
export const exportCheckpointCommand: Command<Args> = {
  name: 'export',
  summary: 'Write a checkpoint to a file, to carry it elsewhere',
  help: {
    what: 'Write a checkpoint with everything that is in it to one file, from which another cluster can import it.\nThe file holds the memory of the processes: treat it like the secrets that are in it.',
    examples: [
      ['To a file', 'before-upgrade -f before-upgrade.tar'],
      [
        'Straight into another cluster',
        'before-upgrade -f - | kubectl checkpoint import -f - --context other',
      ],
    ],
    usage: 'NAME -f FILE [flags]',
  },
  flags: {
    filename: {
      alias: 'f',
      type: 'string',
      requiresArg: true,
      value: 'FILE',
      description: 'File to write; - is standard output',
    },
    ...plainFlag,
  },
  cluster: true,
  async run(invocation, args, words) {
    const name = readCheckpoint(words);
    if (args.filename === undefined)
      throw new UsageError('Which file? Say -f FILE, or -f - for standard output.');
    const { exportCheckpoint } = await import('./run.js');
    return exportCheckpoint(invocation, args, { name, file: args.filename, plain: args.plain });
  },
};
