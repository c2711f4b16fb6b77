import type { Side } from '../../common/api/resolution.js';
import { UsageError } from '../cli-error.js';
import type { Command } from '../command.js';
import { readMigration } from '../find-migration.js';
import { durationFlag, outputFlag, plainFlag, waitFlags, type KubeFlags } from '../flags.js';
import { OBJECT_FORMATS, type ObjectFormat } from '../output/format.js';

interface Args extends KubeFlags {
  keep?: 'source' | 'target';
  yes: boolean;
  wait: boolean;
  timeout: string;
  output?: ObjectFormat;
  plain: boolean;
}

const SIDES: Record<NonNullable<Args['keep']>, Side> = { source: 'Source', target: 'Target' };

/** `kubectl migrate resolve NAME --keep source|target` */
export const resolveCommand: Command<Args> = {
  name: 'resolve',
  summary: 'Decide which copy is kept of a migration that is stuck',
  help: {
    what: 'Decide a migration that is stuck because a node cannot be asked whether a copy of the pod runs there.\nYou say which copy is kept, and vouch for the other one: if it is not as you say, two copies run, or none.\nWhat is at stake is said first, and you are asked; a decision cannot be taken back.',
    examples: [
      ['The target node is switched off for good: the source shall run on', 'counter-x7k2p --keep source'],
      ['The restored pod runs: give up the source', 'counter-x7k2p --keep target'],
      ['Without being asked, for scripts', 'counter-x7k2p -n shop --keep source --yes'],
    ],
    usage: '(NAME | POD | pod/POD) --keep source|target [flags]',
  },
  flags: {
    keep: {
      choices: ['source', 'target'],
      requiresArg: true,
      value: 'source|target',
      description: 'The copy that is kept: the pod that was to be moved, or the one that was restored',
    },
    yes: {
      alias: 'y',
      type: 'boolean',
      default: false,
      description: 'Do not ask; needed where there is no terminal',
    },
    ...waitFlags,
    ...outputFlag(OBJECT_FORMATS),
    ...plainFlag,
  },
  cluster: true,
  async run(invocation, args, words) {
    const migration = readMigration(words);
    if (args.keep === undefined) {
      throw new UsageError('Which copy shall be kept? Say --keep source or --keep target.', [
        `What each means for this migration: ${invocation.program} status ${migration.name}`,
      ]);
    }
    const timeoutMs = durationFlag('timeout', args.timeout);
    const { resolve } = await import('./run.js');
    return resolve(invocation, args, {
      ...migration,
      side: SIDES[args.keep],
      yes: args.yes,
      wait: args.wait,
      timeoutMs,
      plain: args.plain,
      ...(args.output === undefined ? {} : { output: args.output }),
    });
  },
};
