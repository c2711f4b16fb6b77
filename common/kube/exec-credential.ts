/**
 * Credentials from a program that the kubeconfig names, as kubectl takes them
 * (https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins). client-node's own calls
 * the program for every request where its credential says nothing of an end, hides what it says to a person, gives it no
 * terminal, and tells it nothing of what it is asked for.
 */
import { spawn } from 'node:child_process';
import type { RequestOptions } from 'node:https';
import { dirname, resolve } from 'node:path';
import type { Authenticator } from '@kubernetes/client-node/dist/auth.js';
import type { Cluster, User } from '@kubernetes/client-node/dist/config_types.js';
import { LpmError, messageOf } from '../errors.js';

/** The entry `exec` of a user. */
export interface ExecConfig {
  apiVersion?: string;
  command?: string;
  args?: string[] | null;
  env?: { name: string; value: string }[] | null;
  installHint?: string;
  interactiveMode?: 'Never' | 'IfAvailable' | 'Always';
  provideClusterInfo?: boolean;
}

/** A user whose credential comes from a program; `folder` is that of the kubeconfig. */
export type ExecUser = User & { program?: { config: ExecConfig; folder: string } };

interface Credential {
  token?: string;
  clientCertificateData?: string;
  clientKeyData?: string;
  expirationTimestamp?: string;
}

/** A credential is fetched anew so long before it ends, so that none ends on its way. */
const EARLY_MS = 5000;

/** Takes the program out of client-node's sight. */
export function withProgram(user: User, kubeconfig: string): ExecUser {
  const config = user.exec as ExecConfig | null | undefined;
  if (!config) return user;
  return { ...user, exec: undefined, program: { config, folder: dirname(resolve(kubeconfig)) } };
}

export class ExecCredentials implements Authenticator {
  /** By user: what the program has said, or is about to say. */
  readonly #known = new Map<string, { credential: Promise<Credential>; until: number }>();

  constructor(private readonly cluster: () => Cluster | null) {}

  isAuthProvider(user: User): boolean {
    return (user as ExecUser).program !== undefined;
  }

  async applyAuthentication(user: User, options: RequestOptions): Promise<void> {
    const { token, clientCertificateData, clientKeyData } = await this.#credential(user as ExecUser);
    if (token) options.headers = { ...(options.headers as object), Authorization: `Bearer ${token}` };
    if (clientCertificateData && clientKeyData) {
      options.cert = clientCertificateData;
      options.key = clientKeyData;
    }
  }

  #credential({ name, program }: ExecUser): Promise<Credential> {
    const known = this.#known.get(name);
    if (known && known.until > Date.now()) return known.credential;
    // Whoever asks meanwhile waits for the same answer: a person is asked to log in once.
    const entry = { credential: ask(program!.config, program!.folder, this.cluster()), until: Infinity };
    this.#known.set(name, entry);
    entry.credential.then(
      ({ expirationTimestamp }) => {
        const end = Date.parse(expirationTimestamp ?? '');
        // One that does not say when it ends is good for as long as this process runs.
        if (!Number.isNaN(end)) entry.until = end - EARLY_MS;
      },
      () => this.#known.delete(name),
    );
    return entry.credential;
  }
}

async function ask(config: ExecConfig, folder: string, cluster: Cluster | null): Promise<Credential> {
  const { command = '', args, env, interactiveMode = 'IfAvailable' } = config;
  const terminal = process.stdin.isTTY === true;
  if (interactiveMode === 'Always' && !terminal) {
    throw failure(
      `The program "${command}", which logs in to the cluster, asks questions (interactiveMode: Always), and there is no terminal on which to answer.`,
      'Call this in a terminal, or use credentials that need no answer.',
    );
  }
  const interactive = interactiveMode !== 'Never' && terminal;
  const { code, signal, stdout } = await run(config, {
    // As a shell would: what has a slash is a path, seen from the kubeconfig.
    path: command.includes('/') ? resolve(folder, command) : command,
    args: args ?? [],
    interactive,
    env: {
      ...process.env,
      ...Object.fromEntries((env ?? []).map(({ name, value }) => [name, value])),
      KUBERNETES_EXEC_INFO: JSON.stringify(execInfo(config, interactive, cluster)),
    },
  });
  if (code !== 0) {
    throw failure(
      `The program "${command}", which logs in to the cluster, ${signal ? `was ended by ${signal}` : `failed with exit code ${code}`}.`,
      'What it said stands above, if it said anything. Try it alone: kubectl auth whoami',
    );
  }
  return read(command, stdout);
}

interface Call {
  path: string;
  args: string[];
  interactive: boolean;
  env: NodeJS.ProcessEnv;
}

function run(
  { command = '', installHint }: ExecConfig,
  { path, args, interactive, env }: Call,
): Promise<{ code: number | null; signal: string | null; stdout: string }> {
  return new Promise((done, fail) => {
    const child = spawn(path, args, { env, stdio: [interactive ? 'inherit' : 'ignore', 'pipe', 'inherit'] });
    let stdout = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.once('error', (error: NodeJS.ErrnoException) =>
      fail(
        error.code === 'ENOENT'
          ? failure(
              `The program "${command}", which logs in to the cluster, is not installed.`,
              installHint?.trim().replace(/\s*\n\s*/g, ' ') ||
                'Install it, or look at how the kubeconfig logs in: kubectl config view --minify',
            )
          : failure(
              `The program "${command}", which logs in to the cluster, cannot be started: ${error.message}.`,
              'Look at how the kubeconfig logs in: kubectl config view --minify',
            ),
      ),
    );
    child.once('close', (code, signal) => done({ code, signal, stdout }));
  });
}

/** What the program is told of what it is asked for: client.authentication.k8s.io, kind ExecCredential. */
function execInfo(
  { apiVersion, provideClusterInfo }: ExecConfig,
  interactive: boolean,
  cluster: Cluster | null,
): object {
  return {
    kind: 'ExecCredential',
    apiVersion: apiVersion ?? 'client.authentication.k8s.io/v1',
    spec: {
      ...(provideClusterInfo && cluster
        ? {
            cluster: {
              server: cluster.server,
              ...(cluster.tlsServerName ? { 'tls-server-name': cluster.tlsServerName } : {}),
              ...(cluster.skipTLSVerify ? { 'insecure-skip-tls-verify': true } : {}),
              ...(cluster.caData ? { 'certificate-authority-data': cluster.caData } : {}),
              ...(cluster.proxyUrl ? { 'proxy-url': cluster.proxyUrl } : {}),
            },
          }
        : {}),
      interactive,
    },
  };
}

function read(command: string, stdout: string): Credential {
  const nothing = (why: string) =>
    failure(
      `The program "${command}", which logs in to the cluster, gave no credential: ${why}.`,
      'Try it alone: kubectl auth whoami',
    );
  let answer: { kind?: unknown; status?: Credential };
  try {
    answer = JSON.parse(stdout) as typeof answer;
  } catch (error) {
    // Not what it wrote: that may be half a secret.
    throw nothing(
      stdout.trim() === '' ? 'it wrote nothing' : `its answer is not JSON (${jsonProblem(error)})`,
    );
  }
  const { kind, status = {} } = answer ?? {};
  if (kind !== 'ExecCredential') throw nothing('its answer is no ExecCredential');
  if (!status.token && !(status.clientCertificateData && status.clientKeyData)) {
    throw nothing('its answer has neither a token nor a certificate with its key');
  }
  return status;
}

/** Without the piece of the text that V8 quotes. */
function jsonProblem(error: unknown): string {
  return messageOf(error).replace(/,? ?("|\.\.\.)[^]*$/, '');
}

function failure(message: string, hint: string): LpmError {
  return new LpmError('NotAuthorized', message, { hint });
}
