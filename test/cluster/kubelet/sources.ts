import { createHash } from 'node:crypto';
import { ResourceClient, type KubeClient } from '../../../common/kube/client.js';
import { ApiUnreachable } from '../../../common/kube/api-error.js';
import type { KubeObject } from '../../../common/kube/types.js';
import type { Data } from './env.js';
import { namespaceOf, specOf, uidOf, type Pod } from './pod.js';
import type { VolumeSources } from './volumes.js';

interface ConfigMap extends KubeObject {
  data?: Record<string, string>;
  binaryData?: Record<string, string>;
}
interface Secret extends KubeObject {
  data?: Record<string, string>;
}
interface RuntimeClass extends KubeObject {
  handler: string;
}

/** A renewed token is asked for when a fifth of its life is left, as the kubelet does. */
const renewAt = 0.8;

/** What a node reads from the API server for its pods. */
export class ApiSources implements VolumeSources {
  readonly #configMaps: ResourceClient<ConfigMap>;
  readonly #secrets: ResourceClient<Secret>;
  readonly #runtimeClasses: ResourceClient<RuntimeClass>;
  readonly #last = new Map<string, unknown>();
  readonly #tokens = new Map<string, { token: string; renewAt: number }>();

  constructor(private readonly kube: KubeClient) {
    const core = { group: '', version: 'v1' };
    this.#configMaps = new ResourceClient(kube, { ...core, plural: 'configmaps', kind: 'ConfigMap' });
    this.#secrets = new ResourceClient(kube, { ...core, plural: 'secrets', kind: 'Secret' });
    this.#runtimeClasses = new ResourceClient(kube, {
      group: 'node.k8s.io',
      version: 'v1',
      plural: 'runtimeclasses',
      kind: 'RuntimeClass',
    });
  }

  configMap = async (namespace: string, name: string): Promise<Data | undefined> => {
    const found = await this.#orLast(`configmap/${namespace}/${name}`, () =>
      this.#configMaps.find(name, namespace),
    );
    if (!found) return undefined;
    return { ...decode(found.data, 'utf8'), ...decode(found.binaryData, 'base64') };
  };

  secret = async (namespace: string, name: string): Promise<Data | undefined> => {
    const found = await this.#orLast(`secret/${namespace}/${name}`, () =>
      this.#secrets.find(name, namespace),
    );
    return found && decode(found.data, 'base64');
  };

  serviceAccountToken = async (
    pod: Pod,
    request: { audience?: string; expirationSeconds?: number },
  ): Promise<string> => {
    const key = createHash('sha256')
      .update(JSON.stringify([uidOf(pod), request]))
      .digest('hex');
    const known = this.#tokens.get(key);
    if (known && known.renewAt > Date.now()) return known.token;
    const account = specOf(pod).serviceAccountName ?? 'default';
    const expirationSeconds = request.expirationSeconds ?? 3600;
    const answer = await this.kube.json<{ status: { token: string } }>(
      'POST',
      `/api/v1/namespaces/${namespaceOf(pod)}/serviceaccounts/${account}/token`,
      {
        body: {
          apiVersion: 'authentication.k8s.io/v1',
          kind: 'TokenRequest',
          spec: {
            ...(request.audience ? { audiences: [request.audience] } : {}),
            expirationSeconds,
            boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: pod.metadata.name, uid: uidOf(pod) },
          },
        },
      },
    );
    this.#tokens.set(key, {
      token: answer.status.token,
      renewAt: Date.now() + expirationSeconds * 1000 * renewAt,
    });
    return answer.status.token;
  };

  /** The handler of a RuntimeClass; undefined when there is no such class. */
  async runtimeHandler(name: string): Promise<string | undefined> {
    const read = () => this.#runtimeClasses.find(name);
    return (await this.#orLast(`runtimeclass/${name}`, read))?.handler;
  }

  /** While the API server is away, what was read last time. */
  async #orLast<T>(key: string, read: () => Promise<T>): Promise<T> {
    try {
      const found = await read();
      this.#last.set(key, found);
      return found;
    } catch (error) {
      if (!(error instanceof ApiUnreachable) || !this.#last.has(key)) throw error;
      return this.#last.get(key) as T;
    }
  }
}

function decode(
  data: Record<string, string> | undefined,
  encoding: 'utf8' | 'base64',
): Record<string, Buffer> {
  return Object.fromEntries(
    Object.entries(data ?? {}).map(([key, value]) => [key, Buffer.from(value, encoding)]),
  );
}
