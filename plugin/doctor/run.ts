import { messageOf } from '../../common/errors.js';
import { ApiError, ApiUnreachable } from '../../common/kube/api-error.js';
import type { KubeClient } from '../../common/kube/client.js';
import { unknownNode } from '../checks/unknown-node.js';
import { EXIT, type ExitCode } from '../exit-code.js';
import type { KubeFlags } from '../flags.js';
import { version, type Invocation } from '../invocation.js';
import { paint, type Terminal } from '../terminal.js';
import { Check, type Finding } from './finding.js';
import { findings } from './findings.js';
import { observe } from './observe.js';
import { counts, report, summary } from './report.js';

export interface DoctorWish {
  node?: string;
  output?: 'json' | 'yaml';
}

/** Looks at the cluster and says what is missing. Exit code 0 only when nothing fails. */
export async function doctor(invocation: Invocation, flags: KubeFlags, wish: DoctorWish): Promise<ExitCode> {
  const terminal = invocation.terminal({});
  const { client, namespace } = await invocation.connect(flags);
  return examine(terminal, client, namespace, wish);
}

/** What `doctor` does once it is connected. */
export async function examine(
  terminal: Terminal,
  client: KubeClient,
  namespace: string,
  wish: DoctorWish,
): Promise<ExitCode> {
  const found = await lookAt(client, namespace, wish.node);
  if (wish.output) {
    const told = { findings: found, summary: counts(found) };
    terminal.out(wish.output === 'json' ? JSON.stringify(told, undefined, 4) : await yaml(told));
  } else {
    const width = process.stdout.columns ?? 200;
    const color = terminal.color && process.stdout.isTTY === true;
    terminal.out(report(found, width, paint(color)).join('\n'));
    terminal.err(summary(found));
  }
  return counts(found).fail === 0 ? EXIT.done : EXIT.failed;
}

async function lookAt(client: KubeClient, namespace: string, node: string | undefined): Promise<Finding[]> {
  try {
    const observed = await observe(client, { namespace, version, ...(node === undefined ? {} : { node }) });
    const names =
      'seen' in observed.nodes ? observed.nodes.seen.map(({ metadata }) => metadata.name) : undefined;
    if (node !== undefined && names && !names.includes(node)) throw unknownNode(node, names);
    return findings(observed, node);
  } catch (error) {
    const check = new Check('api-server');
    const context = 'kubectl config current-context';
    if (error instanceof ApiUnreachable)
      return [check.fail(messageOf(error), context, 'kubectl cluster-info')];
    if (error instanceof ApiError && error.code === 401) {
      return [check.fail('The cluster does not accept your credentials.', 'kubectl auth whoami', context)];
    }
    throw error;
  }
}

async function yaml(value: unknown): Promise<string> {
  const { toYaml } = await import('../text/yaml.js');
  return toYaml(value);
}
