import { ANNOTATION } from '../api/names.js';
import type { Pod } from '../kube/types.js';

type PodSpec = NonNullable<Pod['spec']>;

/**
 * A restored pod's affinity without the nodes that its migration chose among: they were meant for that migration only, and
 * would keep the pod from ever moving on. Other pods' affinity is returned as it is.
 */
export function ownAffinity(pod: Pod): PodSpec['affinity'] {
  const affinity = pod.spec?.affinity;
  const required = affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  if (!required || pod.metadata.annotations?.[ANNOTATION.migration] === undefined) return affinity;
  const terms = new Map<string, (typeof required.nodeSelectorTerms)[number]>();
  for (const { matchFields, ...term } of required.nodeSelectorTerms) {
    const fields = (matchFields ?? []).filter(({ key }) => key !== 'metadata.name');
    const kept = { ...term, ...(fields.length > 0 ? { matchFields: fields } : {}) };
    if (Object.keys(kept).length > 0) terms.set(JSON.stringify(kept), kept);
  }
  const { requiredDuringSchedulingIgnoredDuringExecution: _, ...preferred } = affinity!.nodeAffinity!;
  const nodeAffinity =
    terms.size > 0
      ? {
          ...preferred,
          requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [...terms.values()] },
        }
      : preferred;
  const { nodeAffinity: __, ...rest } = affinity!;
  const result = { ...rest, ...(Object.keys(nodeAffinity).length > 0 ? { nodeAffinity } : {}) };
  return Object.keys(result).length > 0 ? result : undefined;
}
