import type { ContainerCheckpointContent } from '../../common/api/schema.js';
import type { KubeClient } from '../../common/kube/client.js';
import { size } from '../text/bytes.js';
import { amountOfTime } from '../text/duration.js';
import { table } from '../text/table.js';
import { contentsOf, place } from './contents.js';
import type { Checkpoint } from './kinds.js';

/** What was saved and where it lies. What we may not read is left out. */
export async function artifacts(client: KubeClient, checkpoint: Checkpoint): Promise<string[]> {
  return artifactLines(checkpoint, await contentsOf(client, checkpoint));
}

export function artifactLines(checkpoint: Checkpoint, contents: ContainerCheckpointContent[]): string[] {
  const { kind, metadata, spec, status = {} } = checkpoint;
  const total = status.sizeBytes === undefined ? '' : `, ${size(status.sizeBytes)}`;
  const pod = `${metadata.namespace ?? 'default'}/${spec.podName}`;
  const what = kind === 'PodCheckpoint' ? `pod ${pod}` : `container ${spec.containerName} of pod ${pod}`;
  const frozen =
    status.frozenMilliseconds === undefined
      ? ''
      : ` after a pause of ${amountOfTime(status.frozenMilliseconds)}`;
  return [
    `Checkpointed ${what} as ${metadata.name}${total}. The pod runs on${frozen}.`,
    ...(status.boundContentName ? [`Content: ${kind.toLowerCase()}content/${status.boundContentName}`] : []),
    ...(contents.length === 0
      ? []
      : table(
          ['CONTAINER', 'SIZE', 'ARTIFACT'],
          contents.map(({ spec: content }) => [
            content.containerName,
            content.sizeBytes === undefined ? '<unknown>' : size(content.sizeBytes),
            place(content),
          ]),
        )),
  ];
}
