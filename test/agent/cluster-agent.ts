/** A client of an agent that runs in the local cluster, with the controller's certificate. */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { readRecord, type Cluster } from '../cluster/cluster.js';
import { tlsDir } from '../cluster/cluster-pki.js';
import { nodePlans } from '../cluster/layout.js';
import { AgentClient } from './client.js';

export async function connectClusterAgent(
  cluster: Cluster,
  nodeName: string,
): Promise<{ agent: AgentClient; close: () => void }> {
  const { layout } = cluster;
  const lab = readRecord(layout)?.processes.lab;
  const plan = nodePlans.find(({ name }) => name === nodeName);
  if (!lab || !plan) throw new Error(`There is no node ${nodeName} in the cluster of ${layout.dir}.`);
  const socket = join(layout.run, `agent-${nodeName}.sock`);
  const relay = spawn(
    'nsenter',
    [
      `--net=/proc/${lab.pid}/ns/net`,
      process.execPath,
      join(layout.bin, 'relay.mjs'),
      '--from',
      `unix:${socket}`,
      '--to',
      `tcp:${plan.ip}:50051`,
    ],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  );
  while (!existsSync(socket)) await delay(10);
  const read = (file: string): string => readFileSync(join(tlsDir(layout, 'controller'), file), 'utf8');
  const agent = AgentClient.connect(`unix:${socket}`, nodeName, {
    ca: read('ca.crt'),
    cert: read('tls.crt'),
    key: read('tls.key'),
  });
  await agent.serving();
  return {
    agent,
    close: () => {
      agent.raw.close();
      relay.kill('SIGKILL');
    },
  };
}
