import { UsageError } from '../cli-error.js';
import type { Command } from '../command.js';
import { dryRunFlag, durationFlag, outputFlag, plainFlag, type DryRun, type KubeFlags } from '../flags.js';
import { OBJECT_FORMATS, type ObjectFormat } from '../output/format.js';
import { readSubjects } from '../pods/subject.js';
import type { CheckpointSpec } from './wish.js';

interface Args extends KubeFlags {
  container?: string;
  selector?: string;
  name?: string;
  timeout: string;
  wait: boolean;
  via: 'agent' | 'kubelet';
  ttl?: string;
  retain: boolean;
  compress?: 'gzip' | 'zstd';
  encrypt: boolean;
  parallel: number;
  dryRun?: DryRun;
  output?: ObjectFormat;
  plain: boolean;
}

export const CHECKPOINT_SUBCOMMANDS = [
  'list',
  'describe',
  'restore',
  'delete',
  'export',
  'import',
  'completion',
  'version',
];

/** Bounds of spec.timeoutSeconds and spec.ttlSecondsAfterFinished. */
const TIMEOUT_MS = { least: 10_000, most: 86_400_000 };
const MOST_TTL_SECONDS = 2_147_483_647;

/** `kubectl checkpoint pod NAME` */
export const checkpointCommand: Command<Args> = {
  name: '',
  summary: 'Save the state of a running pod',
  help: {
    what: 'Save the state of running pods: memory, processes, open files, volumes. The pods run on, and each\ncheckpoint can be brought back as a new pod, on any node, as often as you like.',
    examples: [
      ['Checkpoint the pod counter', 'pod counter'],
      ['Name the checkpoint, and keep it for a day', 'pod/counter --name before-upgrade --ttl 24h'],
      ['Only one container of a pod, compressed', 'pod web -c cache --compress zstd'],
      ['Every pod of a deployment', 'deployment/web'],
      ['Every pod with a label, without waiting', '-l app=web --no-wait'],
      ['By the kubelet’s own checkpoint API', 'counter --via kubelet'],
      ['Look at what was saved', 'describe before-upgrade'],
      ['Bring it back on another node', 'restore before-upgrade --to k8s-master'],
    ],
    usage: '(pod NAME | pod/NAME | NAME | TYPE/NAME | -l SELECTOR) [flags]',
  },
  flags: {
    container: {
      alias: 'c',
      type: 'string',
      requiresArg: true,
      value: 'CONTAINER',
      description: 'Only this container of the pod',
    },
    selector: {
      alias: 'l',
      type: 'string',
      requiresArg: true,
      value: 'SELECTOR',
      description: 'Every running pod with these labels, such as app=web',
    },
    name: {
      type: 'string',
      requiresArg: true,
      value: 'NAME',
      description: 'Name of the checkpoint (default: POD and five random letters)',
    },
    ttl: {
      type: 'string',
      requiresArg: true,
      value: 'DURATION',
      description: 'Delete the checkpoint so long after it is made, such as 24h',
    },
    retain: {
      type: 'boolean',
      default: false,
      description: 'Keep the archive when the checkpoint is deleted',
    },
    compress: {
      type: 'string',
      choices: ['gzip', 'zstd'],
      requiresArg: true,
      value: 'gzip|zstd',
      description: 'Compress the archive',
    },
    encrypt: {
      type: 'boolean',
      default: false,
      description: 'Encrypt the archive for the keys that the agents were set up with',
    },
    via: {
      choices: ['agent', 'kubelet'],
      default: 'agent',
      requiresArg: true,
      value: 'agent|kubelet',
      description:
        'Who makes it: agent is complete and consistent over containers, kubelet has memory and files of the container only',
    },
    parallel: {
      type: 'number',
      requiresArg: true,
      default: 4,
      value: 'N',
      description: 'As many pods at a time',
    },
    timeout: {
      type: 'string',
      requiresArg: true,
      default: '10m',
      value: 'DURATION',
      description: 'Give a checkpoint up when it is not done by then',
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
    const subjects = readSubjects(words, args.selector, CHECKPOINT_SUBCOMMANDS);
    const timeoutMs = durationFlag('timeout', args.timeout);
    if (timeoutMs < TIMEOUT_MS.least || timeoutMs > TIMEOUT_MS.most) {
      throw new UsageError(`--timeout must be between 10s and 24h, not ${args.timeout}.`);
    }
    if (!Number.isInteger(args.parallel) || args.parallel < 1) {
      throw new UsageError(`--parallel takes a whole number from 1 on, not ${args.parallel}.`);
    }
    const spec: CheckpointSpec = {
      timeoutSeconds: Math.ceil(timeoutMs / 1000),
      ...(args.via === 'kubelet' ? { via: 'Kubelet' as const } : {}),
      ...(args.ttl === undefined ? {} : { ttlSecondsAfterFinished: seconds(args.ttl) }),
      ...(args.retain ? { deletionPolicy: 'Retain' as const } : {}),
      ...(args.compress
        ? { compression: args.compress === 'gzip' ? ('Gzip' as const) : ('Zstd' as const) }
        : {}),
      ...(args.encrypt ? { encrypt: true } : {}),
    };
    const { checkpoint } = await import('./run.js');
    return checkpoint(invocation, args, {
      subjects,
      ...(args.container === undefined ? {} : { container: args.container }),
      ...(args.name === undefined ? {} : { name: args.name }),
      spec,
      timeoutMs,
      wait: args.wait,
      parallel: args.parallel,
      ...(args.dryRun === undefined ? {} : { dryRun: args.dryRun }),
      ...(args.output === undefined ? {} : { output: args.output }),
      plain: args.plain,
    });
  },
};

function seconds(ttl: string): number {
  const value = Math.ceil(durationFlag('ttl', ttl) / 1000);
  if (value > MOST_TTL_SECONDS) throw new UsageError(`--ttl ${ttl} is too long.`);
  return value;
}
