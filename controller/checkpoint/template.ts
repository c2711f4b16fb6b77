/** The pod as it stood on the API server at the checkpoint: a restore makes the new pod from it. */
import type { PodCheckpointContent } from '../../common/api/schema.js';
import type { Pod } from '../../common/kube/types.js';

export type PodTemplate = NonNullable<PodCheckpointContent['spec']['podTemplate']>;

/** What kubectl keeps for itself: it repeats the whole pod, and says nothing about the one that is restored. */
const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';
/** The agents take no more (ArchiveOptions.pod_json). */
const MAX_POD_JSON = 1024 * 1024;

export function podTemplate(pod: Pod): PodTemplate {
  const { labels, annotations = {} } = pod.metadata;
  const { [LAST_APPLIED]: _, ...kept } = annotations;
  return {
    metadata: {
      ...(labels ? { labels } : {}),
      ...(Object.keys(kept).length > 0 ? { annotations: kept } : {}),
    },
    spec: pod.spec as unknown as Record<string, unknown>,
  };
}

/** The same as a pod object in JSON, for the archive; empty when it is larger than an archive takes. */
export function podJson(
  pod: { namespace: string; name: string; uid: string },
  template: PodTemplate,
): string {
  const text = JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { ...pod, ...template.metadata },
    spec: template.spec,
  });
  return Buffer.byteLength(text) <= MAX_POD_JSON ? text : '';
}
