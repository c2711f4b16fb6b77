import type { V1Pod } from '@kubernetes/client-node';

/**
 * What of a container's files an archive of ours does not hold, each a sentence: the layer, emptyDirs and /dev/shm are in it,
 * what lies on other volumes is not. What the kubelet makes anew for each pod (configMaps, secrets, tokens) is no gap.
 *
 * @param podJson the pod object as JSON; of what is none nothing is known
 */
export function gapsOf(podJson: string, container: string): string[] {
  const { spec } = parse(podJson);
  const mounted = new Set(
    spec?.containers
      .filter(({ name }) => name === container)
      .flatMap(({ volumeMounts = [], volumeDevices = [] }) => [...volumeMounts, ...volumeDevices])
      .map(({ name }) => name),
  );
  return (spec?.volumes ?? []).flatMap((volume) => {
    if (!mounted.has(volume.name)) return [];
    const { name, ...kinds } = volume;
    const [kind = ''] = Object.keys(kinds);
    if (MADE_ANEW.has(kind) || kind === 'emptyDir') return [];
    return [`What lies on the volume ${name} (${kind}) is not in the archive.`];
  });
}

const MADE_ANEW = new Set(['configMap', 'secret', 'projected', 'downwardAPI', 'image']);

function parse(json: string): Partial<V1Pod> {
  try {
    return (JSON.parse(json) ?? {}) as Partial<V1Pod>;
  } catch {
    return {};
  }
}
