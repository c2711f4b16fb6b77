/** A real kube-apiserver with etcd on free ports of this machine, for tests of what the small one leaves out: RBAC and admission. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KubeClient } from '../../common/kube/client.js';
import { loadProgramConfig } from '../../common/kube/config.js';
import { createPki, writeKubeconfig } from '../cluster/cluster-pki.js';
import { startDaemon } from '../cluster/daemons.js';
import { apiServerCommand, assetsFolder, etcdCommand } from '../cluster/kube-apiserver.js';
import { layoutOf } from '../cluster/layout.js';
import { createCgroups, destroyCgroups } from '../cluster/node/cgroups.js';
import { topGroup } from '../cluster/node/handle.js';
import { endProcess } from '../cluster/processes.js';
import { until } from '../support/until.js';

export const skippedWithoutAssets =
  process.getuid?.() !== 0
    ? 'needs root: the processes are kept in a cgroup'
    : !process.env.KUBEBUILDER_ASSETS &&
      'needs a real kube-apiserver: name the folder of it and etcd with KUBEBUILDER_ASSETS';

export interface RealApiServer {
  kubeconfig: string;
  url: string;
  /** Its authority, a file. */
  ca: string;
  kube: KubeClient;
  close(): Promise<void>;
}

export async function startRealApiServer(): Promise<RealApiServer> {
  const assets = assetsFolder();
  if (!assets) throw new Error('KUBEBUILDER_ASSETS is not set.');
  const folder = mkdtempSync(join(tmpdir(), 'lpm-real-api-'));
  const layout = layoutOf(join(folder, 'c'));
  mkdirSync(layout.logs, { recursive: true });
  await createPki(layout);
  createCgroups(layout.cgroup);
  const [clients, peers, port] = await Promise.all([freePort(), freePort(), freePort()]);
  const here = (words: string[]): string[] =>
    words.map((word) =>
      word
        .replaceAll(':2379', `:${clients}`)
        .replaceAll(':2380', `:${peers}`)
        .replace(/^(--secure-port=).*/, `$1${port}`)
        .replace(/^(--(?:bind|advertise)-address=).*/, '$1127.0.0.1'),
    );
  // A loopback address is no endpoint of the Service kubernetes, which nobody needs here.
  const server = [...here(apiServerCommand(assets, layout)), '--endpoint-reconciler-type=none'];
  const started = [here(etcdCommand(assets, layout)), server].map((argv, index) =>
    startDaemon(argv, { cgroup: layout.cgroup, log: join(layout.logs, `${index}.log`) }),
  );
  const url = `https://127.0.0.1:${port}`;
  writeKubeconfig(layout, layout.kubeconfig, 'admin', url);
  const kube = new KubeClient(loadProgramConfig(layout.kubeconfig), { userAgent: 'lpm-test' });
  const close = async (): Promise<void> => {
    kube.close();
    for (const one of started.reverse()) await endProcess(one, 2000);
    await destroyCgroups(topGroup(layout.dir));
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await until('the API server is ready', () => kube.text('GET', '/readyz').then(() => true), {
      timeoutMs: 120_000,
    });
  } catch (error) {
    await close();
    throw error;
  }
  return { kubeconfig: layout.kubeconfig, url, ca: join(layout.pki, 'ca.crt'), kube, close };
}

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
