/** What a pod of ours says of itself at /metrics, through a port-forward: its port is not reached from where a person sits. */
import { request } from 'node:http';
import type { KubeClient } from '../../common/kube/client.js';
import type { Pod } from '../../common/kube/types.js';
import { portForward } from '../port-forward.js';
import type { Metrics } from './observed.js';

const PATIENCE_MS = 10_000;
const MOST_BYTES = 1024 * 1024;

/** @throws ApiError, or an error when nothing answers there */
export async function readMetrics(client: KubeClient, pod: Pod): Promise<Metrics> {
  const port = pod.spec?.containers
    .flatMap(({ ports = [] }) => ports)
    .find(({ name }) => name === 'health')?.containerPort;
  if (port === undefined) throw new Error(`Pod ${pod.metadata.name} has no port named health.`);
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const { name, namespace = 'default' } = pod.metadata;
  const channel = await portForward(client, { namespace, pod: name, port }, signal);
  try {
    const text = await new Promise<string>((resolve, reject) => {
      channel.once('error', reject);
      const call = request({
        path: '/metrics',
        createConnection: () => channel,
        headers: { host: name, connection: 'close' },
      });
      call.once('error', reject);
      call.once('response', (response) => {
        let body = '';
        response.setEncoding('utf8');
        response.on('data', (part: string) => {
          body += part;
          if (body.length > MOST_BYTES) response.destroy(new Error(`Pod ${name} says more than it should.`));
        });
        response.once('end', () => resolve(body));
        response.once('error', reject);
      });
      call.end();
    });
    return parseMetrics(text);
  } finally {
    channel.destroy();
  }
}

/** Samples of https://prometheus.io/docs/instrumenting/exposition_formats/ that have no labels, and the version of a build. */
export function parseMetrics(text: string): Metrics {
  const values = new Map<string, number>();
  let version: string | undefined;
  for (const line of text.split('\n')) {
    const [, name, labels, value] = /^([a-zA-Z_:][\w:]*)(\{.*\})? (\S+)$/.exec(line) ?? [];
    if (name === undefined) continue;
    if (labels === undefined) values.set(name, Number(value));
    else if (name.endsWith('_build_info')) version = /version="([^"]*)"/.exec(labels)?.[1];
  }
  return { ...(version === undefined ? {} : { version }), values };
}
