/**
 * The small API server of the local cluster as one process, in the cluster's network namespace: on the bridge for nodes and
 * pods, on the loopback device for the imitated controllers, and on a unix socket for the machine's relay.
 *
 *   control-plane.ts --address IP --port P --socket PATH --pki DIR --state FILE
 */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { messageOf } from '../../common/errors.js';
import { startApiServer } from './apiserver/server.js';

const { values } = parseArgs({
  options: {
    address: { type: 'string', default: '10.88.0.1' },
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

async function main(): Promise<void> {
  rmSync(values.socket, { force: true });
  const server = await startApiServer({
    listen: [
      ...['127.0.0.1', values.address].map((host) => ({ host, port: Number(values.port) })),
      { path: values.socket },
    ],
    tls: pair('apiserver'),
    kubeletClientTls: pair('apiserver-kubelet-client'),
    stateFile: values.state,
  });
  log(`API server on ${values.address}:${values.port} and ${values.socket}`);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      log(`${signal}: ending`);
      void server.close().then(() => process.exit(0));
      setTimeout(() => process.exit(0), 2000).unref();
    });
  }
}

main().catch((error: unknown) => {
  log(`cannot run: ${messageOf(error)}`);
  process.exit(1);
});
