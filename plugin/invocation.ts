import type { KubeClient } from '../common/kube/client.js';
import type { Color, KubeFlags } from './flags.js';
import { durationFlag } from './flags.js';
import { terminal, type Terminal } from './terminal.js';
import { EXIT, type ExitCode } from './exit-code.js';

declare const LPM_VERSION: string | undefined;

/** Version of this build; `dev` when run from the sources. */
export const version = typeof LPM_VERSION === 'string' ? LPM_VERSION : 'dev';

/** One run of the program: what the commands share, and how it ends. */
export class Invocation {
  exitCode: ExitCode = EXIT.done;
  /** What was called, as the person calls it: `kubectl migrate status`. */
  command: string;
  /** Aborted by Ctrl-C. */
  readonly detach = new AbortController();
  #client: KubeClient | undefined;
  #connection = '';

  constructor(
    /** How the person calls it: `kubectl migrate`. */
    readonly program: string,
    private readonly color: Color = 'auto',
  ) {
    this.command = program;
  }

  terminal(flags: { plain?: boolean }): Terminal {
    return terminal({ plain: flags.plain ?? false, color: this.color });
  }

  /** Reads the kubeconfig. Loaded only when needed: it is two thirds of the program. */
  async connect(flags: KubeFlags): Promise<{ client: KubeClient; namespace: string }> {
    const timeoutMs = flags.requestTimeout ? durationFlag('request-timeout', flags.requestTimeout) : 0;
    const [{ KubeClient }, { loadKubeConfig, currentNamespace }] = await Promise.all([
      import('../common/kube/client.js'),
      import('../common/kube/config.js'),
    ]);
    const config = loadKubeConfig(flags);
    this.#connection = repeated(flags);
    const client = new KubeClient(config, {
      userAgent: `${this.program.replace(' ', '-')}/${version}`,
      ...(timeoutMs > 0 ? { timeoutMs } : {}),
      impersonate: {
        ...(flags.as ? { user: flags.as } : {}),
        ...(flags.asGroup ? { groups: flags.asGroup } : {}),
      },
    });
    this.#client = client;
    return { client, namespace: flags.namespace ?? currentNamespace(config) };
  }

  /** A command line for a hint, with the flags that it takes to reach the same cluster and namespace again. */
  again(command: string): string {
    return `${command}${this.#connection}`;
  }

  close(): void {
    this.#client?.close();
  }
}

/** Not the token: it would stand in the history of the shell. */
function repeated(given: KubeFlags): string {
  const { namespace, context, kubeconfig, cluster, user, server, as, asGroup = [] } = given;
  const flags = { n: namespace, context, kubeconfig, cluster, user, server, as };
  return [...Object.entries(flags), ...asGroup.map((group) => ['as-group', group] as const)]
    .filter(([, value]) => value !== undefined)
    .map(([flag, value]) => ` ${flag.length === 1 ? '-' : '--'}${flag} ${value}`)
    .join('');
}
