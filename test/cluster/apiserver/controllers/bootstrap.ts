/** What a cluster has from its first second. */
import { builtinResource, systemContext, type Api } from '../api.js';
import { at, type Fields } from '../kube-object.js';
import { apiServiceAddress } from '../strategy/core.js';
import { createObject } from '../verbs/create.js';

const namespaces = ['default', 'kube-system', 'kube-public', 'kube-node-lease'];

export function bootstrap(api: Api): void {
  const context = systemContext('apiserver');
  const put = (storage: string, namespace: string | undefined, object: Fields) => {
    if (api.store.get(storage, namespace, String(at(object, 'metadata', 'name')))) return;
    createObject(api, builtinResource(api, storage), namespace, object, context);
  };
  for (const name of namespaces) put('/namespaces', undefined, { metadata: { name } });
  put('/services', 'default', {
    metadata: { name: 'kubernetes', labels: { component: 'apiserver', provider: 'kubernetes' } },
    spec: {
      type: 'ClusterIP',
      clusterIP: apiServiceAddress,
      ports: [{ name: 'https', port: 443, protocol: 'TCP', targetPort: 6443 }],
    },
  });
  for (const [name, value] of [
    ['system-cluster-critical', 2_000_000_000],
    ['system-node-critical', 2_000_001_000],
  ] as const) {
    put('scheduling.k8s.io/priorityclasses', undefined, { metadata: { name }, value });
  }
}
