import { UsageError } from '../cli-error.js';
import type { Command } from '../command.js';
import { DATA_FORMATS, type DataFormat } from '../output/format.js';
import { MOST_PARALLEL } from '../migrate/command.js';
import { dryRunFlag, durationFlag, outputFlag, plainFlag, type DryRun, type KubeFlags } from '../flags.js';

interface Args extends KubeFlags {
  to?: string;
  parallel: number;
  selector?: string;
  evictRest: boolean;
  dryRun?: DryRun;
  timeout: string;
  output?: DataFormat;
  plain: boolean;
}

/** `kubectl migrate drain NODE` */
export const drainCommand: Command<Args> = {
  name: 'drain',
  summary: 'Move everything off a node that can be moved',
  help: {
    what: `Cordon a node and move every running pod that can be moved to other nodes, with their state.
What cannot be moved stays where it is and is listed with the reason; --evict-rest evicts it, which
ends its processes. Can be left and called again at any time: it goes on with what is there.`,
    examples: [
      ['Move what can be moved off k8s-worker, four pods at a time', 'k8s-worker --parallel 4'],
      ['See what would be done', 'k8s-worker --dry-run'],
      ['Empty the node for maintenance; state of what cannot be moved is lost', 'k8s-worker --evict-rest'],
      ['Only the pods of one application', 'k8s-worker -l app=shop'],
    ],
    usage: 'NODE [flags]',
  },
  flags: {
    parallel: {
      type: 'number',
      default: 2,
      requiresArg: true,
      value: 'N',
      description: 'How many pods are moved at the same time',
    },
    to: {
      type: 'string',
      requiresArg: true,
      value: 'NODE',
      description: 'Move all of them to this node (default: the scheduler chooses)',
    },
    selector: {
      alias: 'l',
      type: 'string',
      requiresArg: true,
      value: 'SELECTOR',
      description: 'Only pods with these labels',
    },
    'evict-rest': {
      type: 'boolean',
      default: false,
      description: 'Evict what cannot be moved; PodDisruptionBudgets are respected',
    },
    'dry-run': {
      ...dryRunFlag['dry-run'],
      description:
        'Only say what would be done: as far as it can be seen from here (client), or with every check of the controller (server, the default)',
    },
    timeout: {
      type: 'string',
      requiresArg: true,
      default: '10m',
      value: 'DURATION',
      description: 'How long one migration, or waiting for a PodDisruptionBudget, may take',
    },
    ...outputFlag(DATA_FORMATS),
    ...plainFlag,
  },
  cluster: true,
  async run(invocation, args, words) {
    const [node, ...more] = words.map((word) => word.replace(/^nodes?\//, ''));
    if (node === undefined || node === '') throw new UsageError('Which node?');
    if (more.length > 0) throw new UsageError(`One node at a time: what is "${more.join(' ')}"?`);
    if (!Number.isInteger(args.parallel) || args.parallel < 1 || args.parallel > MOST_PARALLEL) {
      throw new UsageError(`--parallel takes a number from 1 to ${MOST_PARALLEL}.`);
    }
    if (args.to === node) throw new UsageError('--to is the node that is to be drained.');
    const timeoutMs = durationFlag('timeout', args.timeout);
    if (timeoutMs < 10_000 || timeoutMs > 86_400_000) {
      throw new UsageError(`--timeout must be between 10s and 24h, not ${args.timeout}.`);
    }
    const { drain } = await import('./run.js');
    return drain(invocation, args, {
      node,
      ...(args.to === undefined ? {} : { to: args.to }),
      ...(args.selector === undefined ? {} : { selector: args.selector }),
      // Without -n all namespaces, as kubectl drain: the node is drained, not a namespace.
      ...(args.namespace === undefined ? {} : { namespace: args.namespace }),
      parallel: args.parallel,
      evictRest: args.evictRest,
      ...(args.dryRun === undefined ? {} : { dryRun: args.dryRun }),
      timeoutMs,
      ...(args.output === undefined ? {} : { output: args.output }),
      plain: args.plain,
    });
  },
};
