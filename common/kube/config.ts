/**
 * Finds and merges kubeconfig as kubectl does
 * (https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/).
 */
// Not the package's index: that would load all its generated API classes.
import { KubeConfig } from '@kubernetes/client-node/dist/config.js';
import type { User } from '@kubernetes/client-node/dist/config_types.js';
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { parse } from 'yaml';
import { LpmError, messageOf } from '../errors.js';
import { proxyFromEnv } from './env-proxy.js';
import { ExecCredentials, withProgram } from './exec-credential.js';

/** kubectl's connection flags, by their kubectl names. */
export interface KubeConfigFlags {
  kubeconfig?: string;
  context?: string;
  cluster?: string;
  user?: string;
  server?: string;
  token?: string;
  insecureSkipTlsVerify?: boolean;
}

/** The files that kubectl would read, in its order: --kubeconfig, else the list in KUBECONFIG, else ~/.kube/config. */
export function kubeconfigFiles(flag: string | undefined, env: NodeJS.ProcessEnv = process.env): string[] {
  if (flag) return [flag];
  if (env.KUBECONFIG) return env.KUBECONFIG.split(delimiter).filter((file) => file !== '');
  return [join(env.HOME ?? homedir(), '.kube', 'config')];
}

/**
 * Loads the configuration for a person's command. Of entries with the same name in several files the first one counts,
 * and so does the first current-context (client-node's own merge throws on a duplicate name).
 */
export function loadKubeConfig(
  flags: KubeConfigFlags = {},
  env: NodeJS.ProcessEnv = process.env,
): KubeConfig {
  const files = kubeconfigFiles(flags.kubeconfig, env);
  if (flags.kubeconfig && !existsSync(flags.kubeconfig)) {
    throw new LpmError('InvalidArgument', `The kubeconfig file ${flags.kubeconfig} does not exist.`, {
      hint: 'Check the path given with --kubeconfig.',
    });
  }
  const merged = new KubeConfig();
  merged.addAuthenticator(new ExecCredentials(() => merged.getCurrentCluster()));
  merged.clusters = [];
  merged.users = [];
  merged.contexts = [];
  for (const file of files.filter((name) => existsSync(name))) {
    const one = new KubeConfig();
    try {
      one.loadFromFile(file);
      one.users = withMore(one.users, file);
    } catch (error) {
      throw new LpmError(
        'InvalidArgument',
        // A parser's message goes on with a drawing of the place.
        `The kubeconfig file ${file} cannot be read: ${messageOf(error).split('\n')[0]?.replace(/[.:]$/, '')}.`,
        { hint: 'Check it with: kubectl config view', cause: error },
      );
    }
    merged.clusters = firstWins(merged.clusters, one.clusters);
    merged.users = firstWins(merged.users, one.users);
    merged.contexts = firstWins(merged.contexts, one.contexts);
    merged.currentContext ||= one.currentContext;
  }
  if (flags.context) merged.setCurrentContext(flags.context);
  applyFlags(merged, flags, files);
  // client-node refuses http:// (kubectl proxy) unless told not to check certificates, of which there are none.
  merged.clusters = merged.clusters.map((entry) => ({
    ...entry,
    proxyUrl: entry.proxyUrl || proxyFromEnv(entry.server, env),
    ...(entry.server.startsWith('http:') ? { skipTLSVerify: true } : {}),
  }));
  return merged;
}

/** The configuration of a program in the cluster: a kubeconfig file if one is named, else the ServiceAccount's. */
export function loadProgramConfig(kubeconfig: string | undefined): KubeConfig {
  // A person's proxy is none of theirs: what they ask is near.
  if (kubeconfig) return loadKubeConfig({ kubeconfig }, {});
  if (!process.env.KUBERNETES_SERVICE_HOST) {
    throw new LpmError(
      'InvalidArgument',
      'This program does not run in a cluster and was given no kubeconfig.',
      {
        hint: 'Start it with --kubeconfig FILE.',
      },
    );
  }
  const config = new KubeConfig();
  config.loadFromCluster();
  return config;
}

/** The namespace that kubectl would use without -n. */
export function currentNamespace(config: KubeConfig): string {
  return config.getContextObject(config.getCurrentContext())?.namespace || 'default';
}

/** Whom the user's entry says to impersonate beside `as`: headers for each request. */
export type Impersonating = User & { impersonateHeaders?: Record<string, string | string[]> };

/** Fields of a user's entry that client-node does not read (client-go: api/v1 AuthInfo). */
interface RawUser {
  tokenFile?: string;
  'as-uid'?: string;
  'as-groups'?: string[];
  'as-user-extra'?: Record<string, string[]>;
}

function withMore(users: User[], file: string): User[] {
  const text = readFileSync(file, 'utf8');
  // Few have any: the file is not parsed a second time for nothing.
  const raw = /tokenFile|as-(?:uid|groups|user-extra)/.test(text)
    ? (parse(text) as { users?: { name?: string; user?: RawUser }[] } | null)
    : undefined;
  return users.map((user) => {
    const more = raw?.users?.find(({ name }) => name === user.name)?.user ?? {};
    return withProgram(withToken({ ...user, ...impersonated(more) }, more, file), file);
  });
}

/** The path is relative to the kubeconfig, and the file goes before `token`. */
function withToken(user: User, { tokenFile }: RawUser, file: string): User {
  if (!tokenFile) return user;
  return { ...user, token: readFileSync(resolve(dirname(file), tokenFile), 'utf8').trim() };
}

/** https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation */
function impersonated(raw: RawUser): Pick<Impersonating, 'impersonateHeaders'> {
  const { 'as-uid': uid, 'as-groups': groups, 'as-user-extra': extra = {} } = raw;
  const headers = {
    ...(uid ? { 'Impersonate-Uid': uid } : {}),
    ...(groups?.length ? { 'Impersonate-Group': groups } : {}),
    ...Object.fromEntries(
      Object.entries(extra).map(([key, values]) => [`Impersonate-Extra-${encodeURIComponent(key)}`, values]),
    ),
  };
  return Object.keys(headers).length > 0 ? { impersonateHeaders: headers } : {};
}

function firstWins<T extends { name: string }>(have: T[], more: T[]): T[] {
  const names = new Set(have.map((entry) => entry.name));
  return [...have, ...more.filter((entry) => !names.has(entry.name))];
}

function applyFlags(config: KubeConfig, flags: KubeConfigFlags, files: string[]): void {
  const context = config.getContextObject(config.getCurrentContext());
  if (flags.context && !context) {
    const known = config.contexts.map((entry) => entry.name).join(', ') || 'none';
    throw new LpmError('InvalidArgument', `The context "${flags.context}" does not exist.`, {
      hint: `Contexts in the kubeconfig: ${known}.`,
    });
  }
  if (!context && !flags.server) {
    throw new LpmError('InvalidArgument', 'No cluster is configured.', {
      hint: `Set KUBECONFIG or give --kubeconfig FILE (looked at ${files.join(', ')}), or choose a context with --context.`,
    });
  }
  const cluster = flags.cluster ?? context?.cluster ?? '';
  const user = flags.user ?? context?.user ?? '';
  for (const [what, name, entry, entries] of [
    ['cluster', flags.cluster, config.getCluster(cluster), config.clusters],
    ['user', flags.user, config.getUser(user), config.users],
  ] as const) {
    if (name && !entry) {
      const known = entries.map((each) => each.name).join(', ') || 'none';
      throw new LpmError('InvalidArgument', `The ${what} "${name}" does not exist in the kubeconfig.`, {
        hint: `It has: ${known}.`,
      });
    }
  }
  const baseCluster = config.getCluster(cluster);
  const baseUser = config.getUser(user);
  const effective = {
    cluster: {
      ...(baseCluster ?? { name: 'flags', server: '', skipTLSVerify: false }),
      name: 'effective',
      ...(flags.server ? { server: flags.server } : {}),
      ...(flags.insecureSkipTlsVerify ? { skipTLSVerify: true, caData: undefined, caFile: undefined } : {}),
    },
    user: {
      ...(baseUser ?? { name: 'flags' }),
      name: 'effective',
      // Who gives a token need not log in.
      ...(flags.token ? { token: flags.token, program: undefined } : {}),
    },
  };
  if (!flags.cluster && !flags.user && !flags.server && !flags.token && !flags.insecureSkipTlsVerify) return;
  config.clusters = [...config.clusters, effective.cluster];
  config.users = [...config.users, effective.user];
  config.contexts = [
    ...config.contexts,
    {
      ...(context?.namespace ? { namespace: context.namespace } : {}),
      name: 'effective',
      cluster: 'effective',
      user: 'effective',
    },
  ];
  config.setCurrentContext('effective');
}
