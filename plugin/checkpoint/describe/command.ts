import type { Command } from '../../command.js';
import { outputFlag, type KubeFlags } from '../../flags.js';
import { OBJECT_FORMATS, type ObjectFormat } from '../../output/format.js';
import { readCheckpoint } from '../find.js';

interface Args extends KubeFlags {
  output?: ObjectFormat;
}

/** `kubectl checkpoint describe NAME` */
export const describeCheckpointCommand: Command<Args> = {
  name: 'describe',
  aliases: ['status', 'show'],
  summary: 'Show what is in a checkpoint',
  help: {
    what: 'Show one checkpoint: of what, when, where it lies, and what is in it (processes, open files, memory,\nmounts), as it was read from the archive itself.',
    examples: [
      ['What is in a checkpoint', 'before-upgrade'],
      ['That of one container', 'containercheckpoint/before-upgrade-app'],
      ['The object itself', 'before-upgrade -o yaml'],
    ],
    usage: 'NAME [flags]',
  },
  flags: { ...outputFlag(OBJECT_FORMATS) },
  cluster: true,
  async run(invocation, args, words) {
    const name = readCheckpoint(words);
    const { describeCheckpoint } = await import('./run.js');
    return describeCheckpoint(invocation, args, {
      name,
      ...(args.output === undefined ? {} : { output: args.output }),
    });
  },
};
