/**
 * The UID of the namespace kube-system, which every cluster has for as long as it exists: it tells whose archives lie in a
 * repository that clusters share.
 */
import type { KubeClient } from '../common/kube/client.js';

/** Read once; a failure is not kept. */
export function clusterUid(client: Pick<KubeClient, 'namespaces'>): () => Promise<string> {
  let known: Promise<string> | undefined;
  return () => {
    known ??= client.namespaces.get('kube-system').then(({ metadata }) => metadata.uid!);
    known.catch(() => (known = undefined));
    return known;
  };
}
