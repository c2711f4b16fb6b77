import { ApiError } from '../../../common/kube/api-error.js';
import type { KubeClient } from '../../../common/kube/client.js';
import type { CoreEvent } from '../../../common/kube/types.js';
import { requireInstalled } from '../../checks/installed.js';
import { EXIT, type ExitCode } from '../../exit-code.js';
import type { KubeFlags } from '../../flags.js';
import type { Invocation } from '../../invocation.js';
import type { ObjectFormat } from '../../output/format.js';
import { put } from '../../output/print.js';
import { contentsOf } from '../contents.js';
import { findCheckpoint, type CheckpointName } from '../find.js';
import { resourceName, type Checkpoint } from '../kinds.js';
import { checkpointReport } from './report.js';

export interface DescribeWish {
  name: CheckpointName;
  output?: ObjectFormat;
}

export async function describeCheckpoint(
  invocation: Invocation,
  flags: KubeFlags,
  wish: DescribeWish,
): Promise<ExitCode> {
  const terminal = invocation.terminal({});
  const { client, namespace } = await invocation.connect(flags);
  await requireInstalled(client);
  const checkpoint = await findCheckpoint(client, namespace, wish.name, invocation);
  if (wish.output) {
    await put(terminal, checkpoint, wish.output, resourceName(checkpoint.kind));
    return EXIT.done;
  }
  const [contents, events] = await Promise.all([
    contentsOf(client, checkpoint),
    eventsOf(client, checkpoint),
  ]);
  const lines = checkpointReport(
    { checkpoint, contents, events },
    {
      now: Date.now(),
      width: process.stdout.columns,
      unicode: terminal.unicode,
    },
  );
  terminal.out(lines.join('\n'));
  return EXIT.done;
}

/** The newest last; none when they may not be read. */
async function eventsOf(client: KubeClient, { kind, metadata }: Checkpoint): Promise<CoreEvent[]> {
  const { name, namespace = 'default', uid } = metadata;
  try {
    const { items } = await client.events.list({
      namespace,
      fieldSelector: `involvedObject.kind=${kind},involvedObject.name=${name}`,
    });
    const time = (event: CoreEvent) => event.lastTimestamp ?? event.eventTime ?? '';
    return items
      .filter(({ involvedObject }) => involvedObject.uid === uid)
      .sort((a, b) => (time(a) < time(b) ? -1 : 1));
  } catch (error) {
    if (error instanceof ApiError && (error.isForbidden || error.isNotFound)) return [];
    throw error;
  }
}
