import type { Command } from '../command.js';
import { outputFlag, type KubeFlags } from '../flags.js';
import { requireNoWords } from '../no-words.js';

interface Args extends KubeFlags {
  node?: string;
  output?: 'json' | 'yaml';
}

/** `kubectl migrate doctor` */
export const doctorCommand: Command<Args> = {
  name: 'doctor',
  summary: 'Look at the cluster and say what is missing on which node, and how to mend it',
  help: {
    what: `Look at a cluster, with your own rights, and say check by check what is missing and how to mend it:
API server, CRDs, controller and its leader, the agent and the set-up of each node, certificates, the
checkpoint repository, the kubelets' checkpoint API, your rights, and migrations that are stuck.
What you may not look at is said to be unknown, not ok. Nothing is changed.

Exit code 0: nothing fails; 1: something does.`,
    examples: [
      ['Is everything as it should be?', ''],
      ['Why does nothing move to k8s-worker?', '--node k8s-worker'],
      ['May I migrate and checkpoint in the namespace shop?', '-n shop'],
      ['For a program', '-o json'],
    ],
    usage: '[--node NODE] [flags]',
  },
  flags: {
    node: {
      type: 'string',
      requiresArg: true,
      value: 'NODE',
      description: 'Of the nodes look at this one only',
    },
    ...outputFlag(['json', 'yaml']),
  },
  cluster: true,
  async run(invocation, args, words) {
    requireNoWords('doctor', words, ['A node is named with --node.']);
    const { doctor } = await import('./run.js');
    return doctor(invocation, args, {
      ...(args.node === undefined ? {} : { node: args.node.replace(/^nodes?\//, '') }),
      ...(args.output === undefined ? {} : { output: args.output }),
    });
  },
};
