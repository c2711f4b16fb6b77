/** Reads the metadata of objects of any kind, without the rest of them. */
import { ResourceClient, type KubeClient, type ListQuery } from '../../../common/kube/client.js';
import { ApiError } from '../../../common/kube/api-error.js';
import type { ListWatchSource } from '../../../common/kube/list-watch.js';
import type { KubeList, KubeObject } from '../../../common/kube/types.js';
import type { Kind } from './discovery.js';

const as = (kind: string): string => `application/json;as=${kind};g=meta.k8s.io;v=v1`;
const accept = { one: as('PartialObjectMetadata'), list: as('PartialObjectMetadataList') };

export class MetadataClient implements ListWatchSource<KubeObject> {
  readonly #resource: ResourceClient<KubeObject>;

  constructor(
    private readonly client: KubeClient,
    readonly kind: Kind,
  ) {
    this.#resource = new ResourceClient(client, kind);
  }

  async list({ namespace, ...query }: ListQuery = {}): Promise<KubeList<KubeObject>> {
    const path = this.#resource.path(namespace);
    const list = await this.client.json<KubeList<KubeObject>>('GET', path, { query, accept: accept.list });
    // A real API server has null where nothing is.
    return { ...list, items: list.items ?? [] };
  }

  watch({ namespace, ...query }: ListQuery, signal: AbortSignal) {
    return this.client.watch<KubeObject>(this.#resource.path(namespace), { ...query }, signal, accept.one);
  }

  /** Undefined for an object that does not exist. */
  async find(name: string, namespace: string | undefined): Promise<KubeObject | undefined> {
    try {
      return await this.client.json('GET', this.#resource.path(namespace, name), { accept: accept.one });
    } catch (error) {
      if (error instanceof ApiError && error.isNotFound) return undefined;
      throw error;
    }
  }

  /** Changes metadata of an object as it was read: 409 when it has changed since. */
  patch({ metadata }: KubeObject, change: object): Promise<KubeObject> {
    const { name, namespace, uid, resourceVersion } = metadata;
    return this.#resource.patch(name, namespace, { metadata: { uid, resourceVersion, ...change } });
  }

  delete(
    { metadata }: KubeObject,
    propagationPolicy: 'Foreground' | 'Background' | 'Orphan',
  ): Promise<unknown> {
    const { name, namespace, uid } = metadata;
    return this.#resource.delete(name, namespace, { uid: uid!, propagationPolicy });
  }

  deleteAll(namespace: string): Promise<unknown> {
    return this.client.json('DELETE', this.#resource.path(namespace), {
      body: { apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy: 'Background' },
    });
  }
}
