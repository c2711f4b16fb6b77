/** Flags that all commands share, named as kubectl names them. */
import type { Options } from 'yargs';
import { parseDuration } from '../common/duration.js';
import { UsageError } from './cli-error.js';
import { readFormat, withValue } from './output/format.js';

/** A flag for yargs, with the word for its value in the help. */
export interface Flag extends Options {
  value?: string;
  /** Values, or beginnings of values, that completion offers where not all can be named. */
  candidates?: readonly string[];
}

/** How to reach the cluster. */
export const kubeFlags = {
  namespace: {
    alias: 'n',
    type: 'string',
    requiresArg: true,
    value: 'NAMESPACE',
    description: "Namespace (default: the context's)",
  },
  context: {
    type: 'string',
    requiresArg: true,
    value: 'NAME',
    description: 'Context of the kubeconfig to use',
  },
  kubeconfig: { type: 'string', requiresArg: true, value: 'FILE', description: 'The kubeconfig file' },
  cluster: {
    type: 'string',
    requiresArg: true,
    value: 'NAME',
    description: 'Cluster of the kubeconfig to use',
  },
  user: { type: 'string', requiresArg: true, value: 'NAME', description: 'User of the kubeconfig to use' },
  server: {
    alias: 's',
    type: 'string',
    requiresArg: true,
    value: 'URL',
    description: 'Address of the API server',
  },
  token: {
    type: 'string',
    requiresArg: true,
    value: 'TOKEN',
    description: 'Bearer token for the API server',
  },
  as: { type: 'string', requiresArg: true, value: 'USER', description: 'User to impersonate' },
  'as-group': {
    type: 'string',
    array: true,
    requiresArg: true,
    value: 'GROUP',
    description: 'Group to impersonate; can be given more than once',
  },
  'insecure-skip-tls-verify': { type: 'boolean', description: "Do not check the server's certificate" },
  'request-timeout': {
    type: 'string',
    requiresArg: true,
    value: 'DURATION',
    description: 'How long to wait for one answer of the server, such as 5s',
  },
} as const satisfies Record<string, Flag>;

export const COLORS = ['auto', 'always', 'never'] as const;
export type Color = (typeof COLORS)[number];

/** Flags of every command. */
export const commonFlags = {
  color: {
    type: 'string',
    choices: COLORS,
    default: 'auto',
    requiresArg: true,
    value: 'auto|always|never',
    description: 'Colours; auto: where a terminal shows them, unless NO_COLOR is set',
  },
  v: { type: 'number', default: 0, value: 'LEVEL', description: 'How much to tell about errors' },
  help: { alias: 'h', type: 'boolean', default: false, description: 'Show this help' },
} as const satisfies Record<string, Flag>;

export const plainFlag = {
  plain: { type: 'boolean', default: false, description: 'Show progress as plain lines with the time' },
} as const satisfies Record<string, Flag>;

/** Undefined for `none`. */
export type DryRun = 'client' | 'server' | undefined;

/** As kubectl has it for what it creates. A bare `--dry-run` is made `--dry-run=server` before the parser sees it. */
export const dryRunFlag = {
  'dry-run': {
    type: 'string',
    choices: ['none', 'server', 'client'],
    requiresArg: true,
    value: 'server|client',
    coerce: (mode: unknown) => (mode === 'none' ? undefined : mode),
    description: 'Create nothing: only show it (client), or have the server check it (server, the default)',
  },
} as const satisfies Record<string, Flag>;

/** Flags of commands that change a migration that is going on. */
export const waitFlags = {
  wait: {
    type: 'boolean',
    default: true,
    description: 'Wait for the end and show the progress; or --no-wait',
  },
  timeout: {
    type: 'string',
    requiresArg: true,
    default: '0',
    defaultDescription: 'for ever',
    value: 'DURATION',
    description: 'How long to wait for it',
  },
} as const satisfies Record<string, Flag>;

/** The parsed values of kubeFlags. */
export interface KubeFlags {
  namespace?: string;
  context?: string;
  kubeconfig?: string;
  cluster?: string;
  user?: string;
  server?: string;
  token?: string;
  as?: string;
  asGroup?: string[];
  insecureSkipTlsVerify?: boolean;
  requestTimeout?: string;
}

export function outputFlag(formats: readonly string[]) {
  return {
    output: {
      alias: 'o',
      type: 'string',
      requiresArg: true,
      candidates: formats.map((format) => withValue(format).replace(/…$/, '')),
      value: 'FORMAT',
      coerce: (format: unknown) => (typeof format === 'string' ? readFormat(format, formats) : format),
      description: `How to print it: ${formats.map(withValue).join(', ')}`,
    },
  } as const satisfies Record<string, Flag>;
}

export const allNamespacesFlag = {
  'all-namespaces': {
    alias: 'A',
    type: 'boolean',
    default: false,
    description: 'Those of all namespaces',
  },
} as const satisfies Record<string, Flag>;

export const sortByFlag = {
  'sort-by': {
    type: 'string',
    requiresArg: true,
    value: 'PATH',
    description: 'Sort by this field, such as .status.startTime',
  },
} as const satisfies Record<string, Flag>;

/** Milliseconds of a flag such as --timeout; throws UsageError. */
export function durationFlag(flag: string, text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined) {
    throw new UsageError(`--${flag} takes a duration such as 90s, 10m or 1h30m, not "${text}".`);
  }
  return ms;
}
