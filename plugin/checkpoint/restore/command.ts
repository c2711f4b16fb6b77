import { UsageError } from '../../cli-error.js';
import type { Command } from '../../command.js';
import {
  dryRunFlag,
  durationFlag,
  kubeFlags,
  outputFlag,
  plainFlag,
  type DryRun,
  type KubeFlags,
} from '../../flags.js';
import { OBJECT_FORMATS, type ObjectFormat } from '../../output/format.js';
import { readCheckpoint } from '../find.js';

interface Args extends KubeFlags {
  to?: string;
  asUser?: string;
  timeout: string;
  wait: boolean;
  dryRun?: DryRun;
  output?: ObjectFormat;
  plain: boolean;
}

const OBJECT_NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
/** Bounds of spec.timeoutSeconds. */
const TIMEOUT_MS = { least: 10_000, most: 86_400_000 };

/** `kubectl checkpoint restore NAME` */
export const restoreCheckpointCommand: Command<Args> = {
  name: 'restore',
  summary: 'Bring a checkpoint back as a new pod',
  help: {
    what: 'Bring a checkpoint back: a new pod goes on from the very instant at which it was taken. The checkpoint\nstays, so it can be restored again, also while the original pod still runs (they are twins then).',
    examples: [
      ['Bring it back on any node that can', 'before-upgrade'],
      ['On this node, and name the new pod', 'before-upgrade --to k8s-master --as counter-again'],
      ['A checkpoint that was imported from another cluster', 'counter-imported'],
    ],
    usage: 'NAME [--to NODE] [--as POD] [flags]',
  },
  flags: {
    to: { type: 'string', requiresArg: true, value: 'NODE', description: 'Node on which the new pod runs' },
    as: {
      type: 'string',
      requiresArg: true,
      value: 'POD',
      description: 'Name of the new pod (default: POD-restored)',
    },
    'as-user': { ...kubeFlags.as, description: 'User to impersonate (elsewhere --as)' },
    timeout: {
      type: 'string',
      requiresArg: true,
      default: '10m',
      value: 'DURATION',
      description: 'Give the restore up when it is not done by then',
    },
    wait: {
      type: 'boolean',
      default: true,
      description: 'Wait for the end and show the progress; or --no-wait',
    },
    ...dryRunFlag,
    ...outputFlag(OBJECT_FORMATS),
    ...plainFlag,
  },
  cluster: true,
  async run(invocation, args, words) {
    const name = readCheckpoint(words);
    const timeoutMs = durationFlag('timeout', args.timeout);
    if (timeoutMs < TIMEOUT_MS.least || timeoutMs > TIMEOUT_MS.most) {
      throw new UsageError(`--timeout must be between 10s and 24h, not ${args.timeout}.`);
    }
    const { as: pod, asUser, ...flags } = args;
    for (const [flag, what, value] of [
      ['to', 'node', args.to],
      ['as', 'pod', pod],
    ] as const) {
      if (value !== undefined && !OBJECT_NAME.test(value))
        throw new UsageError(`--${flag} takes the name of a ${what}, not "${value}".`);
    }
    const { restore } = await import('./run.js');
    return restore(
      invocation,
      { ...flags, ...(asUser === undefined ? {} : { as: asUser }) },
      {
        name,
        ...(args.to === undefined ? {} : { to: args.to }),
        ...(pod === undefined ? {} : { pod }),
        timeoutMs,
        wait: args.wait,
        ...(args.dryRun === undefined ? {} : { dryRun: args.dryRun }),
        ...(args.output === undefined ? {} : { output: args.output }),
        plain: args.plain,
      },
    );
  },
};
