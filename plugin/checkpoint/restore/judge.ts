/** Whether a checkpoint can be brought back, as far as it can be told from here. */
import { ApiError } from '../../../common/kube/api-error.js';
import type { KubeClient } from '../../../common/kube/client.js';
import type { Pod } from '../../../common/kube/types.js';
import type { Caller } from '../../checks/judge.js';
import { unknownNode } from '../../checks/unknown-node.js';
import { CliError } from '../../cli-error.js';
import { sentence } from '../../progress/summary.js';
import type { Checkpoint } from '../kinds.js';

/** Throws CliError when it has not succeeded. */
export function judgeRestore({ kind, metadata, status = {} }: Checkpoint, caller: Caller): void {
  const { name } = metadata;
  if (status.phase === 'Succeeded') return;
  if (status.phase === 'Failed') {
    throw new CliError(
      `The checkpoint ${name} failed, so there is nothing to restore: ${sentence(status.message ?? 'the controller gives no reason')}`,
      [`More with: ${caller.again(`${caller.program} describe ${name}`)}`],
    );
  }
  throw new CliError(
    `The checkpoint ${name} is ${status.phase ?? 'not taken up by the controller yet'}: it is not complete.`,
    [
      `Wait for it with: ${caller.again(`kubectl wait --for=condition=Complete ${kind.toLowerCase()}/${name} --timeout=10m`)}`,
    ],
  );
}

/** What is said when the pod that was checkpointed still runs. */
export function twinWarning(
  { spec, status = {} }: Checkpoint,
  original: Pod | undefined,
): string | undefined {
  if (original?.status?.phase !== 'Running' || original.metadata.deletionTimestamp) return undefined;
  if (status.podUID !== undefined && original.metadata.uid !== status.podUID) return undefined;
  return `the pod ${spec.podName} still runs on ${original.spec?.nodeName ?? 'its node'}: it and the new pod will be twins, with the same memory, names and tokens. What must be done once only (a queue, a lock, a lease, a file on shared storage) may be done by both.`;
}

/** Throws CliError when there is no such node, with those that may have been meant. */
export async function judgeNode(client: KubeClient, name: string): Promise<void> {
  try {
    if (await client.nodes.find(name)) return;
    throw unknownNode(
      name,
      (await client.nodes.list()).items.map(({ metadata }) => metadata.name),
    );
  } catch (error) {
    // Left to the controller.
    if (!(error instanceof ApiError && error.isForbidden)) throw error;
  }
}
