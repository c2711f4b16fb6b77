/**
 * The floor: what `runc checkpoint` and `runc restore` alone take for the same program on the same node. Nothing that moves a
 * container with runc and CRIU can be faster than their sum.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NodeHandle } from '../cluster/node/start.js';
import { until } from '../support/until.js';

export interface Floor {
  dumpMilliseconds: number;
  restoreMilliseconds: number;
  /** Size of CRIU's images. */
  imageBytes: number;
}

interface OciSpec {
  process: { terminal?: boolean };
  root: { path: string };
  mounts: { destination: string; type: string; source: string }[];
  linux: { namespaces: { type: string; path?: string }[]; cgroupsPath?: string };
  annotations?: Record<string, string>;
}

const folder = '/var/lib/lpm-floor';
const name = 'lpm-floor';

/**
 * Runs a second container like the given one, outside of Kubernetes, and checkpoints and restores it with the node's runc.
 *
 * @param containerId of a running container on this node, without scheme
 * @param ready tells from what the program has put into its /data folder that it has come to its steady state
 */
export async function measureFloor(
  node: NodeHandle,
  containerId: string,
  ready: (dataFile: (file: string) => string) => boolean,
): Promise<Floor> {
  const bundle = `/run/containerd/io.containerd.runtime.v2.task/k8s.io/${containerId}`;
  const spec = JSON.parse(readFileSync(join(node.path(bundle), 'config.json'), 'utf8')) as OciSpec;
  const home = node.path(folder);
  rmSync(home, { recursive: true, force: true });
  mkdirSync(join(home, 'data'), { recursive: true });
  writeFileSync(join(home, 'config.json'), JSON.stringify(standalone(spec, bundle)));

  const sh = async (script: string): Promise<string> => {
    const { code, stdout, stderr } = await node.exec(['sh', '-ec', script]);
    if (code !== 0) throw new Error(`Measuring the floor failed: ${script}: ${stderr || stdout}`);
    return stdout;
  };
  // The container's standard streams must be something that CRIU can find again.
  const quiet = '</dev/null >/dev/null 2>&1';
  const timed = async (command: string): Promise<number> => {
    const [from, to] = (await sh(`date +%s%N; ${command} ${quiet}; date +%s%N`)).split('\n').map(Number);
    return ((to ?? NaN) - (from ?? NaN)) / 1e6;
  };
  try {
    await sh(`runc run --detach --bundle ${folder} ${name} ${quiet}`);
    await until(
      'the floor’s program is ready',
      () => ready((file) => readFileSync(join(home, 'data', file), 'utf8')),
      {
        timeoutMs: 120_000,
      },
    );
    const options = `--image-path ${folder}/images --work-path ${folder}/work --file-locks --manage-cgroups-mode ignore`;
    const dump = await timed(`runc checkpoint ${options} ${name}`);
    const restore = await timed(`runc restore --detach --bundle ${folder} ${options} ${name}`);
    const bytes = Number((await sh(`du -sb ${folder}/images | cut -f1`)).trim());
    return { dumpMilliseconds: dump, restoreMilliseconds: restore, imageBytes: bytes };
  } finally {
    await node.exec(['runc', 'delete', '--force', name]);
    rmSync(home, { recursive: true, force: true });
  }
}

/** The same container on its own: no namespaces shared with a sandbox, its own folder for data. */
function standalone(spec: OciSpec, bundle: string): OciSpec {
  const own = new Set([
    '/data',
    '/dev/shm',
    '/etc/hosts',
    '/etc/hostname',
    '/etc/resolv.conf',
    '/dev/termination-log',
  ]);
  return {
    ...spec,
    root: { ...spec.root, path: join(bundle, spec.root.path === '' ? 'rootfs' : spec.root.path) },
    mounts: [
      ...spec.mounts.filter(
        (mount) => !own.has(mount.destination) && !mount.destination.startsWith('/var/run/secrets'),
      ),
      {
        destination: '/data',
        type: 'bind',
        source: `${folder}/data`,
        options: ['rbind', 'rw'],
      } as OciSpec['mounts'][0],
    ],
    linux: {
      ...spec.linux,
      cgroupsPath: `/${name}`,
      namespaces: spec.linux.namespaces.map(({ type }) => ({ type })),
    },
    annotations: {},
  };
}
