/** Where the API server keeps an object of any kind: asked of the server, for components may bring kinds of others. */
import { ApiError } from '../../common/kube/api-error.js';
import type { KubeClient } from '../../common/kube/client.js';
import type { ManifestObject } from './bundled.js';

interface Discovered {
  name: string;
  kind: string;
  namespaced: boolean;
}

export class ApiPaths {
  readonly #asked = new Map<string, Promise<Discovered[]>>();

  constructor(private readonly client: KubeClient) {}

  /** Path of an object, and the name that kubectl shows: `deployment.apps/lpm-controller-manager`. Undefined: no such kind. */
  async find({
    apiVersion,
    kind,
    metadata,
  }: ManifestObject): Promise<{ path: string; shown: string } | undefined> {
    const resources = await this.#resources(apiVersion);
    const found = resources.find((one) => one.kind === kind && !one.name.includes('/'));
    if (!found) return undefined;
    const { namespace, name } = metadata;
    const within = found.namespaced ? `/namespaces/${encodeURIComponent(namespace ?? 'default')}` : '';
    const [group = ''] = apiVersion.includes('/') ? apiVersion.split('/') : [];
    return {
      path: `${rootOf(apiVersion)}${within}/${found.name}/${encodeURIComponent(name)}`,
      shown: `${kind.toLowerCase()}${group ? `.${group}` : ''}/${name}`,
    };
  }

  #resources(apiVersion: string): Promise<Discovered[]> {
    let asked = this.#asked.get(apiVersion);
    if (!asked) {
      asked = this.client.json<{ resources: Discovered[] }>('GET', rootOf(apiVersion)).then(
        ({ resources }) => resources,
        (error: unknown) => {
          if (error instanceof ApiError && error.isNotFound) return [];
          throw error;
        },
      );
      this.#asked.set(apiVersion, asked);
    }
    return asked;
  }
}

const rootOf = (apiVersion: string): string =>
  apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
