import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startTestApiServer } from '../../test/cluster/apiserver/testing.js';
import { KubeClient } from './client.js';
import { loadKubeConfig } from './config.js';

test('what is asked of a client that was closed leaves no connection open', async () => {
  const api = await startTestApiServer();
  const client = new KubeClient(loadKubeConfig({ kubeconfig: api.kubeconfig }), { userAgent: 'test' });
  await client.nodes.list();
  client.close();
  assert.deepEqual((await client.nodes.list()).items, []);
  // Ends when every connection has: one that is kept for later would keep it for ever.
  await api.close();
});
