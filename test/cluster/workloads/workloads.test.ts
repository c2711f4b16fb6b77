/**
 * The imitated controllers do what the real ones were recorded doing (recorded/, by record.ts on a real cluster). The pods
 * are run by a simulated kubelet.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { KubeClient } from '../../../common/kube/client.js';
import { loadProgramConfig } from '../../../common/kube/config.js';
import type { Node } from '../../../common/kube/types.js';
import { readyNode } from '../apiserver/testing-client.js';
import { startTestApiServer, type TestApiServer } from '../apiserver/testing.js';
import { happensAsRecorded } from './as-recorded.testing.js';
import { scenarios } from './scenarios.js';
import { startSimulatedKubelet, type SimulatedKubelet } from './simulated-kubelet.testing.js';

const controlPlane = 'node-role.kubernetes.io/control-plane';

describe('workload controllers', { concurrency: 4 }, () => {
  let server: TestApiServer;
  let client: KubeClient;
  let kubelet: SimulatedKubelet;

  before(async () => {
    server = await startTestApiServer({
      crds: false,
      controllers: { nodeGraceMs: 600_000, workloads: { jobBackoffMs: 300, jobBatchMs: 50 } },
    });
    client = newClient();
    await client.nodes.create(
      readyNode('k8s-master', { spec: { taints: [{ key: controlPlane, effect: 'NoSchedule' }] } }) as Node,
    );
    await client.nodes.create(readyNode('k8s-worker') as Node);
    kubelet = startSimulatedKubelet(client);
  });

  after(async () => {
    await kubelet?.stop();
    client?.close();
    await server?.close();
  });

  const newClient = (): KubeClient =>
    new KubeClient(loadProgramConfig(server.kubeconfig), { userAgent: 'lpm-test' });

  for (const scenario of scenarios) {
    test(`${scenario.name}: as recorded. ${scenario.about}`, async () => {
      const own = newClient();
      try {
        await happensAsRecorded(own, scenario, { quietMs: 700, stepTimeoutMs: 20_000 });
        assert.deepEqual(server.complaints, []);
      } finally {
        own.close();
      }
    });
  }
});
