/**
 * The control plane of the local cluster as one process, in the cluster's network namespace: the small API server
 * with its scheduler and controllers and the imitated ones for workloads, on the bridge for nodes and pods and on a unix socket for the machine's relay.
 *
 *   control-plane.ts --address IP --port P --socket PATH --pki DIR --state FILE
 */
import { KubeConfig } from '@kubernetes/client-node/dist/config.js';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { messageOf } from '../../common/errors.js';
import { KubeClient } from '../../common/kube/client.js';
import { startApiServer } from './apiserver/server.js';
import { startWorkloads } from './workloads/run.js';

const { values } = parseArgs({
  options: {
    address: { type: 'string', default: '127.0.0.1' },
    port: { type: 'string', default: '6443' },
    socket: { type: 'string', default: '' },
    pki: { type: 'string', default: '' },
    state: { type: 'string', default: '' },
  },
});

const log = (message: string): void => console.log(`${new Date().toISOString()} ${message}`);
const pair = (name: string): { cert: string; key: string; ca: string } => ({
  cert: readFileSync(join(values.pki, `${name}.crt`), 'utf8'),
  key: readFileSync(join(values.pki, `${name}.key`), 'utf8'),
  ca: readFileSync(join(values.pki, 'ca.crt'), 'utf8'),
});

/** The controllers are clients like any other: what they may not do through the API they cannot do at all. */
function adminClient(): KubeClient {
  const { cert, key, ca } = pair('admin');
  const base64 = (pem: string): string => Buffer.from(pem).toString('base64');
  const name = 'lpm-local';
  const config = new KubeConfig();
  config.loadFromOptions({
    clusters: [{ name, server: `https://${values.address}:${values.port}`, caData: base64(ca) }],
    users: [{ name, certData: base64(cert), keyData: base64(key) }],
    contexts: [{ name, cluster: name, user: name }],
    currentContext: name,
  });
  return new KubeClient(config, { userAgent: 'lpm-workload-controllers' });
}

async function main(): Promise<void> {
  rmSync(values.socket, { force: true });
  const server = await startApiServer({
    listen: [{ host: values.address, port: Number(values.port) }, { path: values.socket }],
    tls: pair('apiserver'),
    kubeletClientTls: pair('apiserver-kubelet-client'),
    stateFile: values.state,
  });
  log(`API server on ${values.address}:${values.port} and ${values.socket}`);
  const client = adminClient();
  const workloads = startWorkloads(client, log);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      log(`${signal}: ending`);
      void workloads.close().then(async () => {
        client.close();
        await server.close();
        process.exit(0);
      });
      setTimeout(() => process.exit(0), 2000).unref();
    });
  }
}

main().catch((error: unknown) => {
  log(`cannot run: ${messageOf(error)}`);
  process.exit(1);
});
