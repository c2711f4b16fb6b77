/**
 * The control plane of the local cluster as one process, in the cluster's network namespace: the small API server,
 * on the bridge for nodes and pods and on a unix socket for the machine's relay, and beside it the scheduler and the
 * watch over the nodes' leases, both as ordinary clients.
 *
 *   control-plane.mjs --address IP --port P --socket PATH --pki DIR --state FILE --kubeconfig FILE
 */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { messageOf } from '../../common/errors.js';
import { KubeClient } from '../../common/kube/client.js';
import { loadProgramConfig } from '../../common/kube/config.js';
import { startApiServer } from './apiserver/server.js';
import { watchNodes } from './scheduler/node-lifecycle.js';
import { runScheduler } from './scheduler/scheduler.js';

const { values } = parseArgs({
  options: {
    address: { type: 'string', default: '127.0.0.1' },
    port: { type: 'string', default: '6443' },
    socket: { type: 'string', default: '' },
    pki: { type: 'string', default: '' },
    state: { type: 'string', default: '' },
    kubeconfig: { type: 'string', default: '' },
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
    listen: [{ host: values.address, port: Number(values.port) }, { path: values.socket }],
    tls: pair('apiserver'),
    kubeletClientTls: pair('apiserver-kubelet-client'),
    stateFile: values.state,
  });
  log(`API server on ${values.address}:${values.port} and ${values.socket}`);
  const kube = new KubeClient(loadProgramConfig(values.kubeconfig), { userAgent: 'lpm-local-control-plane' });
  const stop = [runScheduler(kube, log), watchNodes(kube, log)];
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      log(`${signal}: ending`);
      for (const end of stop) end();
      void server.close().then(() => process.exit(0));
      setTimeout(() => process.exit(0), 2000).unref();
    });
  }
}

main().catch((error: unknown) => {
  log(`cannot run: ${messageOf(error)}`);
  process.exit(1);
});
