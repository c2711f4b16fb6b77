/**
 * The imitated controllers of the local cluster as one process, in the cluster's network namespace.
 *
 *   controllers.mjs --kubeconfig FILE
 */
import { parseArgs } from 'node:util';
import { KubeClient } from '../../../common/kube/client.js';
import { loadProgramConfig } from '../../../common/kube/config.js';
import { startControllers } from './run.js';

const { values } = parseArgs({ options: { kubeconfig: { type: 'string' } } });
const log = (message: string): void => console.log(`${new Date().toISOString()} ${message}`);

const client = new KubeClient(loadProgramConfig(values.kubeconfig), { userAgent: 'lpm-local-controllers' });
const controllers = startControllers(client, { log });
void controllers.synced().then(() => log('scheduler and controllers work'));

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => {
    log(`${signal}: ending`);
    void controllers.close().then(() => process.exit(0));
    setTimeout(() => process.exit(0), 2000).unref();
  });
}
