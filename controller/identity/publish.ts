/** Publishes for the agents whom to believe and who signs: a ConfigMap that everybody in the cluster may read. The leader writes it. */
import {
  AUTHORITY_CERTIFICATES,
  AUTHORITY_CONFIG_MAP,
  AUTHORITY_SIGNERS,
  CONTROLLER_LABEL,
} from '../../common/api/names.js';
import { messageOf } from '../../common/errors.js';
import { pause } from '../../common/kube/backoff.js';
import type { KubeClient } from '../../common/kube/client.js';
import type { ConfigMap, Pod } from '../../common/kube/types.js';
import type { Leadership } from '../leader/leadership.js';
import type { Log } from '../log.js';

export interface PublisherOptions {
  /** Writes only for the leader. */
  client: KubeClient;
  namespace: string;
  bundle: () => string;
  signerPort: number;
  leadership: Pick<Leadership, 'acquired'>;
  log: Log;
  everyMs?: number;
}

/** A replica that is gone is asked in vain for no longer than this; the Service leads to those that are there. */
const EVERY_MS = 10_000;

/** Publishes from the moment at which this process may, until it is stopped. */
export function startPublishing(options: PublisherOptions): { stop(): Promise<void> } {
  const stop = new AbortController();
  const run = async (): Promise<void> => {
    const stopped = new Promise<void>((resolve) => stop.signal.addEventListener('abort', () => resolve()));
    await Promise.race([options.leadership.acquired, stopped]);
    while (!stop.signal.aborted) {
      await publish(options).catch((error: unknown) => {
        if (!stop.signal.aborted) {
          options.log.warn(`The authority cannot be published: ${messageOf(error)} It is tried again.`);
        }
      });
      await pause(options.everyMs ?? EVERY_MS, stop.signal);
    }
  };
  const running = run();
  return {
    stop: async () => {
      stop.abort();
      await running;
    },
  };
}

/** Writes what is to be read, if it is not there already. */
export async function publish({ client, namespace, bundle, signerPort }: PublisherOptions): Promise<void> {
  const { items } = await client.pods.list({ namespace, labelSelector: CONTROLLER_LABEL });
  const data = {
    [AUTHORITY_CERTIFICATES]: bundle(),
    [AUTHORITY_SIGNERS]: signers(items, signerPort)
      .map((address) => `${address}\n`)
      .join(''),
  };
  const known = await client.configMaps.find(AUTHORITY_CONFIG_MAP, namespace);
  if (!known) {
    const made: ConfigMap = {
      metadata: {
        name: AUTHORITY_CONFIG_MAP,
        namespace,
        labels: { 'app.kubernetes.io/part-of': 'kubectl-migrate' },
      },
      data,
    };
    await client.configMaps.create(made, namespace);
    return;
  }
  if (Object.entries(data).some(([key, value]) => known.data?.[key] !== value)) {
    await client.configMaps.replace({ ...known, data });
  }
}

/** Where the replicas are asked, "address:port": directly, so that it works where nothing serves Services or names. */
export function signers(pods: readonly Pod[], port: number): string[] {
  return pods
    .filter(({ metadata, status }) => !metadata.deletionTimestamp && status?.phase === 'Running')
    .flatMap(({ status }) => (status?.podIP ? [status.podIP] : []))
    .map((ip) => `${ip.includes(':') ? `[${ip}]` : ip}:${port}`)
    .sort();
}
