import type { Command } from '../command.js';
import { durationFlag, outputFlag, plainFlag, type KubeFlags } from '../flags.js';
import { readPod } from '../pod-argument.js';
import type { ObjectFormat } from '../print-object.js';

interface Args extends KubeFlags {
  name?: string;
  timeout: string;
  wait: boolean;
  output?: ObjectFormat;
  plain: boolean;
}

const SUBCOMMANDS = ['list', 'version'];

/** `kubectl checkpoint pod NAME` */
export const checkpointCommand: Command<Args> = {
  name: '',
  summary: 'Save the state of a running pod',
  help: {
    what: 'Save the state of a running pod on its node. The pod runs on.',
    examples: [
      ['Checkpoint the pod counter', 'pod counter'],
      ['Name the checkpoint', 'pod/counter --name before-upgrade'],
      ['Ask for it without waiting', 'counter --no-wait'],
    ],
    usage: '(pod NAME | pod/NAME | NAME) [flags]',
  },
  flags: {
    name: {
      type: 'string',
      requiresArg: true,
      value: 'NAME',
      description: 'Name of the checkpoint (default: POD and five random letters)',
    },
    timeout: {
      type: 'string',
      requiresArg: true,
      default: '10m',
      value: 'DURATION',
      description: 'How long to wait for it; 0 waits for ever',
    },
    wait: {
      type: 'boolean',
      default: true,
      description: 'Wait for the end and show the progress; or --no-wait',
    },
    ...outputFlag(['json', 'yaml', 'name']),
    ...plainFlag,
  },
  cluster: true,
  async run(invocation, args, words) {
    const pod = readPod(words);
    const timeoutMs = durationFlag('timeout', args.timeout);
    const { checkpoint } = await import('./run.js');
    const wish = {
      pod,
      ...(args.name === undefined ? {} : { name: args.name }),
      timeoutMs,
      wait: args.wait,
      ...(args.output === undefined ? {} : { output: args.output }),
      plain: args.plain,
    };
    return checkpoint(invocation, args, wish, SUBCOMMANDS);
  },
};
