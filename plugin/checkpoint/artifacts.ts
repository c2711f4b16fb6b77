import type { ContainerCheckpointContent, PodCheckpoint } from '../../common/api/schema.js';
import type { KubeClient } from '../../common/kube/client.js';
import { size } from '../text/bytes.js';
import { table } from '../text/table.js';

/** Where agents mount the checkpoint repository, as the testing guide has it. */
const REPOSITORY = '/mnt/checkpoints';

/** What was saved and where it lies. What we may not read is left out: contents are cluster-scoped. */
export async function artifacts(client: KubeClient, checkpoint: PodCheckpoint): Promise<string[]> {
  const name = checkpoint.status?.boundContentName;
  let contents: ContainerCheckpointContent[] = [];
  try {
    const pod = name ? await client.podCheckpointContents.find(name) : undefined;
    const found = await Promise.all(
      (pod?.spec.containerCheckpointContents ?? []).map((content) =>
        client.containerCheckpointContents.find(content),
      ),
    );
    contents = found.filter((content) => content !== undefined);
  } catch {
    // Forbidden or unreachable by now: the checkpoint is there all the same.
  }
  return artifactLines(checkpoint, contents);
}

export function artifactLines(checkpoint: PodCheckpoint, contents: ContainerCheckpointContent[]): string[] {
  const { metadata, spec, status = {} } = checkpoint;
  const total = status.sizeBytes === undefined ? '' : `, ${size(status.sizeBytes)}`;
  return [
    `Checkpointed pod ${metadata.namespace ?? 'default'}/${spec.podName} as ${metadata.name}${total}. The pod runs on.`,
    ...(status.boundContentName ? [`Content: podcheckpointcontent/${status.boundContentName}`] : []),
    ...(contents.length === 0
      ? []
      : table(
          ['CONTAINER', 'SIZE', 'ARTIFACT'],
          contents.map(({ spec: content }) => [
            content.containerName,
            content.sizeBytes === undefined ? '<unknown>' : size(content.sizeBytes),
            place(content.artifactURI, content.nodeName),
          ]),
        )),
  ];
}

/** `shared://FILE` lies in the repository, `file://PATH` on one node. */
function place(uri: string, node: string): string {
  if (uri.startsWith('shared://')) return `${REPOSITORY}/${uri.slice('shared://'.length)} (shared)`;
  if (uri.startsWith('file://')) return `${uri.slice('file://'.length)} (on node ${node} only)`;
  return uri;
}
