import { UsageError } from '../../cli-error.js';
import type { Command } from '../../command.js';
import { durationFlag, plainFlag, type KubeFlags } from '../../flags.js';

interface Args extends KubeFlags {
  filename?: string;
  name?: string;
  timeout: string;
  plain: boolean;
}

/** `kubectl checkpoint import -f FILE` */
export const importCheckpointCommand: Command<Args> = {
  name: 'import',
  summary: 'Take in a checkpoint that was exported elsewhere',
  help: {
    what: 'Take in a checkpoint from a file that `export` has written. What is in it is checked, but it is somebody’s\nprogram: restore only what you trust. The pod is created with your own rights then.',
    examples: [
      ['From a file, into another namespace', '-f before-upgrade.tar -n staging'],
      ['Name the checkpoint', '-f before-upgrade.tar --name from-production'],
    ],
    usage: '-f FILE [flags]',
  },
  flags: {
    filename: {
      alias: 'f',
      type: 'string',
      requiresArg: true,
      value: 'FILE',
      description: 'File to read; - is standard input',
    },
    name: {
      type: 'string',
      requiresArg: true,
      value: 'NAME',
      description: 'Name of the checkpoint (default: POD and five random letters)',
    },
    timeout: {
      type: 'string',
      requiresArg: true,
      default: '1h',
      value: 'DURATION',
      description: 'Give it up when it is not done by then',
    },
    ...plainFlag,
  },
  cluster: true,
  async run(invocation, args, words) {
    if (words.length > 0)
      throw new UsageError(`What is "${words[0]}"? A checkpoint is imported with -f FILE.`);
    if (args.filename === undefined)
      throw new UsageError('Which file? Say -f FILE, or -f - for standard input.');
    const timeoutMs = durationFlag('timeout', args.timeout);
    if (timeoutMs < 10_000 || timeoutMs > 86_400_000)
      throw new UsageError(`--timeout must be between 10s and 24h, not ${args.timeout}.`);
    const { importCheckpoint } = await import('./run.js');
    return importCheckpoint(invocation, args, {
      file: args.filename,
      ...(args.name === undefined ? {} : { name: args.name }),
      timeoutMs,
      plain: args.plain,
    });
  },
};
