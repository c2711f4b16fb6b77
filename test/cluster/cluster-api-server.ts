/** The API server of a cluster, small or real, the ways to it, and the controllers that are its clients. */
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '../../common/errors.js';
import { KubeClient } from '../../common/kube/client.js';
import { loadProgramConfig } from '../../common/kube/config.js';
import { writeKubeconfig } from './cluster-pki.js';
import { alive, writeRecord, type ClusterRecord, type Daemon } from './cluster-record.js';
import { logTail, startDaemon } from './daemons.js';
import { apiServerCommand, assetsFolder, etcdCommand } from './kube-apiserver.js';
import { apiPort, gateway, type Layout } from './layout.js';
import type { Say } from './node-root.js';
import { repository } from './paths.js';

/** Long, for busy machines: one that ends is noticed at once. A real one reads its whole schema and makes its first objects. */
const readyMs = { small: 60_000, real: 90_000 };

/**
 * Which API server a cluster has is decided when it is made, and stays.
 *
 * @throws one sentence when the environment names another.
 */
export function chooseApiServer(layout: Layout, known: ClusterRecord | undefined): string | undefined {
  const wanted = assetsFolder();
  if (!known || wanted === known.assets) return wanted;
  if (wanted === undefined) return known.assets;
  const has = known.assets ? `the kube-apiserver of ${known.assets}` : 'the small API server';
  throw new Error(
    `KUBEBUILDER_ASSETS is ${wanted}, but the cluster in ${layout.dir} was made with ${has}. ` +
      'Take it down first: npm run cluster -- down',
  );
}

export async function startControlPlane(layout: Layout, record: ClusterRecord, say: Say): Promise<void> {
  const lab = record.processes.lab;
  if (!lab) throw new Error('The network of the cluster does not run.');
  const keep = (name: Daemon, argv: readonly string[], where: 'lab' | 'machine' = 'lab'): void => {
    if (alive(record, name)) return;
    const log = join(layout.logs, `${name}.log`);
    const place = where === 'lab' ? { netns: lab } : {};
    record.processes[name] = startDaemon(argv, { cgroup: layout.cgroup, log, ...place });
    writeRecord(layout, record);
  };
  const relay = [process.execPath, join(layout.bin, 'relay.mjs')];
  const { assets } = record;
  if (!alive(record, 'control-plane')) {
    say(
      `API server and scheduler (${gateway}:${apiPort}${assets ? `, kube-apiserver and etcd of ${assets}` : ''})`,
    );
  }
  if (assets) {
    keep('etcd', etcdCommand(assets, layout));
    keep('control-plane', apiServerCommand(assets, layout));
    keep('relay-inside', [
      ...relay,
      '--from',
      `unix:${layout.apiSocket}`,
      '--to',
      `tcp:127.0.0.1:${apiPort}`,
    ]);
  } else {
    keep('control-plane', smallServerCommand(layout));
  }
  if (!alive(record, 'relay')) record.port = await freePort(record.port);
  const machineSide = `tcp:127.0.0.1:${record.port}`;
  keep('relay', [...relay, '--from', machineSide, '--to', `unix:${layout.apiSocket}`], 'machine');
  const controllersConfig = join(layout.pki, 'controllers.kubeconfig');
  for (const [file, server] of [
    [layout.kubeconfig, `127.0.0.1:${record.port}`],
    [join(layout.pki, 'admin.kubeconfig'), `${gateway}:${apiPort}`],
    // Not by the address that is cut off from our own controller in tests.
    [controllersConfig, `127.0.0.1:${apiPort}`],
  ] as const) {
    writeKubeconfig(layout, file, 'admin', `https://${server}`);
  }
  await apiReady(layout, record);
  const controllers = [process.execPath, join(layout.bin, 'controllers.mjs'), '--kubeconfig'];
  keep('controllers', [...controllers, controllersConfig]);
}

/** Run from its source: it reads Kubernetes' own schemas from node_modules. */
const smallServerCommand = (layout: Layout): string[] => [
  process.execPath,
  '--import',
  import.meta.resolve('tsx'),
  join(repository, 'test/cluster/control-plane.ts'),
  ...['--address', gateway, '--port', String(apiPort)],
  ...['--socket', layout.apiSocket, '--pki', layout.pki, '--state', layout.state],
];

async function apiReady(layout: Layout, record: ClusterRecord): Promise<void> {
  const kube = new KubeClient(loadProgramConfig(layout.kubeconfig), {
    userAgent: 'lpm-local-cluster',
    timeoutMs: 2000,
  });
  const needed: Daemon[] = [...(record.assets ? (['etcd'] as const) : []), 'control-plane', 'relay'];
  const deadline = Date.now() + (record.assets ? readyMs.real : readyMs.small);
  try {
    for (;;) {
      try {
        await kube.text('GET', '/readyz');
        return;
      } catch (error) {
        if (!needed.every((name) => alive(record, name)) || Date.now() > deadline) {
          const logs = needed.map((name) => logTail(join(layout.logs, `${name}.log`)));
          throw new Error(`The API server did not come up (${messageOf(error)}): ${logs.join('\n')}`);
        }
        await delay(50);
      }
    }
  } finally {
    kube.close();
  }
}

/** Waits until pods are admitted to the namespace default: its account is made by one of the controllers. */
export async function podsAdmitted(kube: KubeClient, layout: Layout): Promise<void> {
  const deadline = Date.now() + 20_000;
  for (;;) {
    try {
      await kube.json('GET', '/api/v1/namespaces/default/serviceaccounts/default');
      return;
    } catch (error) {
      if (Date.now() > deadline) {
        const log = logTail(join(layout.logs, 'controllers.log'), 4);
        throw new Error(`The controllers made no ServiceAccount (${messageOf(error)}): ${log}`);
      }
      await delay(50);
    }
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
