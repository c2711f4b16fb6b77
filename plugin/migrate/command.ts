import { UsageError } from '../cli-error.js';
import type { Command } from '../command.js';
import { dryRunFlag, durationFlag, outputFlag, plainFlag, type DryRun, type KubeFlags } from '../flags.js';
import { isExplicitPod } from '../pod-argument.js';
import { readSubjects } from '../pods/subject.js';
import { OBJECT_FORMATS, type ObjectFormat } from '../output/format.js';
import { either, near } from '../text/suggest.js';

interface Args extends KubeFlags {
  to?: string;
  name?: string;
  selector?: string;
  all: boolean;
  parallel: number;
  tcp: 'close' | 'refuse';
  allowHostPath: boolean;
  force: boolean;
  dryRun?: DryRun;
  timeout: string;
  wait: boolean;
  output?: ObjectFormat;
  plain: boolean;
}

const OBJECT_NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
/** More at the same time make each pause longer. */
export const MOST_PARALLEL = 32;
/** Bounds of spec.timeoutSeconds. */
const TIMEOUT_MS = { least: 10_000, most: 86_400_000 };
const SUBCOMMANDS = [
  ...[
    'status',
    'list',
    'top',
    'logs',
    'cancel',
    'resolve',
    'describe',
    'delete',
    'drain',
    'completion',
    'version',
  ],
];

/** `kubectl migrate POD --to NODE` */
export const migrateCommand: Command<Args> = {
  name: '',
  summary: 'Move a running pod to another node',
  help: {
    what: "Move a running pod to another node. Its memory, open files, volumes and logs arrive there;\nits processes notice no more than a short pause.\n\nWith --dry-run the controller makes every check that it makes before a pod is frozen, and nothing else; the\nAPI server's own dry run (kubectl apply --dry-run=server) cannot do that, as it runs no controller.",
    examples: [
      ['Move the pod counter to the node k8s-master', 'counter --to k8s-master'],
      ['Let the scheduler choose the node, and name the pod that arrives', 'counter --name counter-moved'],
      ['Refuse to move it while it has open TCP connections', 'pod/web -n shop --to node-2 --tcp=refuse'],
      ['See whether it could be moved, without touching it', 'counter --to k8s-master --dry-run'],
      ['Ask for it without waiting; look at it later', 'counter --to k8s-master --no-wait'],
      ['Move several pods, four at a time', '-l app=shop --to node-2 --parallel 4'],
      ['Look at the newest migration of a pod', 'status counter'],
      ['Cancel the migration of a pod that is going on', 'cancel pod/counter'],
    ],
    usage: '(POD | TYPE/NAME... | -l SELECTOR | --all) [--to NODE] [flags]',
  },
  flags: {
    to: { type: 'string', requiresArg: true, value: 'NODE', description: 'Node to move the pod to' },
    name: {
      type: 'string',
      requiresArg: true,
      value: 'NAME',
      description: 'Name of the pod that arrives (default: POD-restored)',
    },
    selector: {
      alias: 'l',
      type: 'string',
      requiresArg: true,
      value: 'SELECTOR',
      description: 'Every running pod with these labels',
    },
    all: { type: 'boolean', default: false, description: 'Every running pod of the namespace' },
    parallel: {
      type: 'number',
      default: 2,
      requiresArg: true,
      value: 'N',
      description: 'Of several pods, how many are moved at the same time',
    },
    tcp: {
      choices: ['close', 'refuse'],
      default: 'close',
      requiresArg: true,
      value: 'close|refuse',
      description: 'Open TCP connections: close them, or refuse to move the pod',
    },
    'allow-host-path': {
      type: 'boolean',
      default: false,
      description: 'Move pods with hostPath volumes, too: you state that both nodes have the same data there',
    },
    force: {
      type: 'boolean',
      default: false,
      description:
        'Move it although a check takes that for too risky: CPU features that the target lacks, an impatient liveness probe. What would surely fail, or could leave two copies or none, is refused all the same',
    },
    timeout: {
      type: 'string',
      requiresArg: true,
      default: '10m',
      value: 'DURATION',
      description: 'Roll the migration back when it is not done by then',
    },
    wait: {
      type: 'boolean',
      default: true,
      description: 'Wait for the end and show the progress; or --no-wait',
    },
    'dry-run': {
      ...dryRunFlag['dry-run'],
      description:
        'Move nothing: only show what would be created (client), or have the controller make every check (server, the default)',
    },
    ...outputFlag(OBJECT_FORMATS),
    ...plainFlag,
  },
  cluster: true,
  async run(invocation, args, words) {
    requireNoCommand(invocation.program, words);
    const subjects = readSubjects(words, args.selector, SUBCOMMANDS, args.all);
    if (!Number.isInteger(args.parallel) || args.parallel < 1 || args.parallel > MOST_PARALLEL) {
      throw new UsageError(`--parallel takes a number from 1 to ${MOST_PARALLEL}.`);
    }
    const timeoutMs = durationFlag('timeout', args.timeout);
    if (timeoutMs < TIMEOUT_MS.least || timeoutMs > TIMEOUT_MS.most) {
      throw new UsageError(`--timeout must be between 10s and 24h, not ${args.timeout}.`);
    }
    requireName('to', 'node', args.to);
    requireName('name', 'pod', args.name);
    const wish = {
      ...(args.to === undefined ? {} : { to: args.to }),
      ...(args.name === undefined ? {} : { name: args.name }),
      tcp: args.tcp === 'refuse' ? ('Refuse' as const) : ('Close' as const),
      ...(args.allowHostPath ? { allowHostPath: true } : {}),
      ...(args.force ? { force: true } : {}),
      timeoutMs,
      wait: args.wait,
      ...(args.dryRun === undefined ? {} : { dryRun: args.dryRun }),
      ...(args.output === undefined ? {} : { output: args.output }),
      plain: args.plain,
    };
    const [only, ...others] = subjects;
    if (only?.of === 'pod' && others.length === 0) {
      const { migrate } = await import('./run.js');
      return migrate(invocation, args, { ...wish, pod: only.name }, only.explicit ? [] : SUBCOMMANDS);
    }
    const { migrateSeveral } = await import('../several/run.js');
    return migrateSeveral(invocation, args, { ...wish, subjects, parallel: args.parallel });
  },
};

/** `kubectl migrate stauts NAME` is not about a pod named stauts. */
function requireNoCommand(program: string, words: readonly string[]): void {
  const [first = '', second] = words;
  if (second === undefined || isExplicitPod(first)) return;
  const meant = near(first, SUBCOMMANDS, 1);
  if (meant.length > 0) {
    throw new UsageError(`Unknown command "${first}" for "${program}".`, [`Did you mean ${either(meant)}?`]);
  }
}

function requireName(flag: string, what: string, name: string | undefined): void {
  if (name !== undefined && !OBJECT_NAME.test(name)) {
    throw new UsageError(`--${flag} takes the name of a ${what}, not "${name}".`);
  }
}
