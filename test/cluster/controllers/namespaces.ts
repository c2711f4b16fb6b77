/** Gives every namespace the account and the certificate authority that its pods use, again when somebody deletes them. */
import { ApiError } from '../../../common/kube/api-error.js';
import type { Namespace } from '../../../common/kube/types.js';
import type { ItemChange } from './inventory.js';
import type { ClusterController, ClusterShell } from './shell.js';

export const accountName = 'default';
const caName = 'kube-root-ca.crt';

export function namespaceFurnisher({ client, caches }: ClusterShell, caCert: string): ClusterController {
  async function sync(name: string): Promise<void> {
    const namespace = caches.namespaces.get(name);
    if (!namespace || isTerminating(namespace)) return;
    const path = `/api/v1/namespaces/${name}`;
    await Promise.all([
      ensure(`${path}/serviceaccounts`, { metadata: { name: accountName } }),
      ensure(`${path}/configmaps`, {
        metadata: {
          name: caName,
          annotations: {
            'kubernetes.io/description':
              'Contains a CA bundle that can be used to verify the API server of this local test cluster.',
          },
        },
        data: { 'ca.crt': caCert },
      }),
    ]);
  }

  async function ensure(path: string, body: object): Promise<void> {
    await client.json('POST', path, { body }).catch((error: unknown) => {
      if (!(error instanceof ApiError && error.isAlreadyExists)) throw error;
    });
  }

  return {
    name: 'serviceaccount-controller',
    sync,
    keysOf({ kind, object, old }) {
      return kind === 'Namespace' && object && !old ? [object.metadata.name] : [];
    },
    keysOfItem({ kind, object, old }: ItemChange) {
      const isOurs =
        (kind.kind === 'ServiceAccount' && old?.metadata.name === accountName) ||
        (kind.kind === 'ConfigMap' && old?.metadata.name === caName);
      return isOurs && !object ? [old!.metadata.namespace!] : [];
    },
  };
}

export const isTerminating = (namespace: Namespace): boolean =>
  namespace.metadata.deletionTimestamp !== undefined;
