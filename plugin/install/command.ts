import { SYSTEM_NAMESPACE } from '../../common/api/names.js';
import { UsageError } from '../cli-error.js';
import type { Command } from '../command.js';
import { dryRunFlag, durationFlag, outputFlag, plainFlag, type DryRun, type KubeFlags } from '../flags.js';
import { COMPONENTS, type ComponentName } from './components.js';
import { requireNoWords } from '../no-words.js';

interface Args extends KubeFlags {
  component?: ComponentName[];
  imageController?: string;
  imageAgent?: string;
  dryRun?: DryRun;
  output?: 'json' | 'yaml';
  wait: boolean;
  timeout: string;
  forceConflicts: boolean;
  plain: boolean;
}

/** `kubectl migrate install` */
export const installCommand: Command<Args> = {
  name: 'install',
  summary: 'Install controller and agents into the cluster, or bring them to this version',
  help: {
    what: `Install live pod migration into a cluster, or bring it to the version of this plugin: CRDs, roles,
controller and agents, the same objects as kubectl apply -k manifests. Then each node is followed
until its agent is ready, and doctor looks at it all. Called again it changes only what differs.
The images must be on the nodes (npm run images) or in a registry.`,
    examples: [
      ['Install it, with images that were loaded into the nodes', ''],
      [
        'With images of a registry',
        '--image-controller registry.example/lpm/controller:0.1.0 --image-agent registry.example/lpm/agent:0.1.0',
      ],
      [
        'With a checkpoint repository that all nodes share, and metrics',
        '--component checkpoint-repo-claim --component pod-monitor',
      ],
      ['See what would be changed', '--dry-run=server'],
      ['The manifests as a file', '--dry-run=client -o yaml > install.yaml'],
    ],
    usage: '[flags]',
  },
  flags: {
    'image-controller': {
      type: 'string',
      requiresArg: true,
      value: 'IMAGE',
      description: 'Image of the controller (default: localhost/controller:latest)',
    },
    'image-agent': {
      type: 'string',
      requiresArg: true,
      value: 'IMAGE',
      description: 'Image of the agents (default: localhost/checkpoint-agent:latest)',
    },
    component: {
      type: 'string',
      array: true,
      choices: COMPONENTS,
      requiresArg: true,
      value: 'NAME',
      description: `Component to install as well; can be given more than once: ${COMPONENTS.join(', ')}`,
    },
    'force-conflicts': {
      type: 'boolean',
      default: false,
      description: 'Set fields that somebody else has changed back to what the manifests say',
    },
    ...dryRunFlag,
    wait: {
      type: 'boolean',
      default: true,
      description: 'Wait until controller and agents are ready and look at it all; or --no-wait',
    },
    timeout: {
      type: 'string',
      requiresArg: true,
      default: '5m',
      value: 'DURATION',
      description: 'How long to wait for that; 0 for ever',
    },
    ...outputFlag(['json', 'yaml']),
    ...plainFlag,
  },
  cluster: true,
  async run(invocation, args, words) {
    requireNoWords('install', words);
    if (args.namespace !== undefined && args.namespace !== SYSTEM_NAMESPACE) {
      throw new UsageError(
        `Controller and agents run in the namespace ${SYSTEM_NAMESPACE}, and in no other.`,
      );
    }
    if (args.output !== undefined && args.dryRun === undefined) {
      throw new UsageError(
        '-o shows what --dry-run would apply: say --dry-run=client or --dry-run=server too.',
      );
    }
    const timeoutMs = durationFlag('timeout', args.timeout);
    const { install } = await import('./run.js');
    return install(invocation, args, {
      components: args.component ?? [],
      ...(args.imageController === undefined ? {} : { imageController: args.imageController }),
      ...(args.imageAgent === undefined ? {} : { imageAgent: args.imageAgent }),
      ...(args.dryRun === undefined ? {} : { dryRun: args.dryRun }),
      ...(args.output === undefined ? {} : { output: args.output }),
      wait: args.wait,
      timeoutMs,
      forceConflicts: args.forceConflicts,
      plain: args.plain,
    });
  },
};
