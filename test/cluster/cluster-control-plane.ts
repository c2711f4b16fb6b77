import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '../../common/errors.js';
import { KubeClient } from '../../common/kube/client.js';
import { loadProgramConfig } from '../../common/kube/config.js';
import { tlsDir, writeKubeconfig } from './cluster-pki.js';
import { alive, writeRecord, type ClusterRecord } from './cluster-record.js';
import { logTail, startDaemon } from './daemons.js';
import { apiPort, gateway, nodePlans, type Layout } from './layout.js';
import { createCgroups, destroyCgroups } from './node/cgroups.js';
import { makeLabNetwork } from './node/network.js';
import { stopNode } from './node/start.js';
import type { Say } from './node-root.js';
import { repository } from './paths.js';
import { endProcess, isRunning } from './processes.js';
import { testBuild } from './test-build.js';

/** The network namespace with the bridge. Without it nothing else can be running, so all is started anew. */
export async function startLab(layout: Layout, record: ClusterRecord, say: Say): Promise<void> {
  if (alive(record, 'lab')) return;
  say(`network ${gateway}/24`);
  await Promise.all(nodePlans.map((plan) => stopNode(layout.node(plan.name))));
  for (const found of Object.values(record.processes)) await endProcess(found, 1000);
  await destroyCgroups(layout.cgroup);
  createCgroups(layout.cgroup);
  const lab = startDaemon(['unshare', '--net', 'sleep', 'infinity'], {
    cgroup: layout.cgroup,
    log: join(layout.logs, 'lab.log'),
  });
  await makeLabNetwork(record.root, lab, `${gateway}/24`);
  record.processes = { lab };
  writeRecord(layout, record);
}

export async function startControlPlane(layout: Layout, record: ClusterRecord, say: Say): Promise<void> {
  const lab = record.processes.lab;
  if (!lab) throw new Error('The network of the cluster does not run.');
  const inside = `https://${gateway}:${apiPort}`;
  if (!alive(record, 'control-plane')) {
    say(`API server and scheduler (${gateway}:${apiPort})`);
    // Run from its source: it reads Kubernetes' own schemas from node_modules.
    const argv = [process.execPath, '--import', import.meta.resolve('tsx')];
    argv.push(
      join(repository, 'test/cluster/control-plane.ts'),
      '--address',
      gateway,
      '--port',
      String(apiPort),
    );
    argv.push('--socket', layout.apiSocket, '--pki', layout.pki, '--state', layout.state);
    record.processes['control-plane'] = startDaemon(argv, {
      cgroup: layout.cgroup,
      log: join(layout.logs, 'control-plane.log'),
      netns: lab,
    });
    writeRecord(layout, record);
  }
  if (!alive(record, 'relay')) {
    record.port = await freePort(record.port);
    const argv = [process.execPath, join(layout.bin, 'relay.mjs')];
    argv.push('--port', String(record.port), '--socket', layout.apiSocket);
    record.processes.relay = startDaemon(argv, {
      cgroup: layout.cgroup,
      log: join(layout.logs, 'relay.log'),
    });
    writeRecord(layout, record);
  }
  writeKubeconfig(layout, layout.kubeconfig, 'admin', `https://127.0.0.1:${record.port}`);
  writeKubeconfig(layout, join(layout.pki, 'admin.kubeconfig'), 'admin', inside);
  await apiReady(layout, record);
}

async function apiReady(layout: Layout, record: ClusterRecord): Promise<void> {
  const kube = new KubeClient(loadProgramConfig(layout.kubeconfig), {
    userAgent: 'lpm-local-cluster',
    timeoutMs: 2000,
  });
  const deadline = Date.now() + 20_000;
  try {
    for (;;) {
      try {
        await kube.text('GET', '/readyz');
        return;
      } catch (error) {
        const dead = !alive(record, 'control-plane') || !alive(record, 'relay');
        if (dead || Date.now() > deadline) {
          const logs = ['control-plane', 'relay'].map((name) => logTail(join(layout.logs, `${name}.log`)));
          throw new Error(`The API server did not come up (${messageOf(error)}): ${logs.join('\n')}`);
        }
        await delay(50);
      }
    }
  } finally {
    kube.close();
  }
}

/** A port of the loopback device that nobody uses: the wanted one unless another process has taken it. */
const freePort = (wanted = 0): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error) => (wanted === 0 ? reject(error) : resolve(freePort())));
    server.listen(wanted, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });

export async function startController(layout: Layout, record: ClusterRecord, say: Say): Promise<void> {
  const program = join(layout.bin, 'controller.mjs');
  const lab = record.processes.lab;
  if (!existsSync(program) || !lab) return;
  const argv = [process.execPath, program, '--kubeconfig', join(layout.pki, 'admin.kubeconfig')];
  argv.push('--tls-dir', tlsDir(layout, 'controller'));
  if (record.faults) {
    argv.unshift('/usr/bin/env', `LPM_FAULT_DIR=${layout.faults}`);
    argv.push(...testBuild.controller);
  }
  const version = createHash('sha256').update(readFileSync(program)).update(argv.join('\0')).digest('hex');
  const mark = join(layout.dir, 'controller.version');
  const running = record.processes.controller;
  if (running && isRunning(running)) {
    if (existsSync(mark) && readFileSync(mark, 'utf8') === version) return;
    await endProcess(running);
  }
  say('controller');
  record.processes.controller = startDaemon(argv, {
    cgroup: layout.cgroup,
    log: join(layout.logs, 'controller.log'),
    netns: lab,
  });
  writeRecord(layout, record);
  writeFileSync(mark, version);
}
