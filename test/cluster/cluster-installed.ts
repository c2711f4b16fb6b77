/**
 * The project on the local cluster as on any other: its images in the nodes, its manifests applied with kubectl, so that the agents are
 * privileged pods of the DaemonSet and the controller a Deployment. What a real cluster has otherwise is given here: the runtime handler
 * on the nodes.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { buildImages, type ImageArchive } from '../../manifests/images/build.js';
import { SYSTEM_NAMESPACE } from '../../common/api/names.js';
import type { Cluster } from './cluster.js';
import type { ClusterRecord } from './cluster-record.js';
import type { Layout } from './layout.js';
import type { Say } from './node-root.js';
import { repository } from './paths.js';

const workloads = {
  Deployment: 'lpm-controller-manager',
  DaemonSet: 'lpm-live-pod-migration-controller-checkpoint-agent',
};

/** @throws one sentence when the cluster runs our programs in the other way, or when the test build is asked for as well. */
export function refuseOtherWay(
  layout: Layout,
  known: ClusterRecord | undefined,
  { faults, installed }: { faults: boolean; installed: boolean },
): void {
  if (installed && faults) {
    throw new Error('The images have no fault points: --installed and --faults do not go together.');
  }
  if (known && (known.installed ?? false) !== installed) {
    const has = known.installed ? 'with' : 'without';
    throw new Error(
      `The cluster in ${layout.dir} was made ${has} --installed. Take it down first: npm run cluster -- down`,
    );
  }
}

/** The images as the programs were built last. */
export const installedImages = (say: Say): Promise<ImageArchive[]> => buildImages({ say });

/** Loads what the nodes do not have, applies the manifests and waits until every pod of them is ready. */
export async function installProject(cluster: Cluster, say: Say): Promise<void> {
  const images = await installedImages(say);
  await Promise.all(
    cluster.nodes.map(async (node) => {
      const { stdout } = await node.exec(['ctr', '-n', 'k8s.io', 'images', 'ls']);
      const missing = images.filter(({ digest }) => !stdout.includes(digest));
      for (const { archive, reference } of missing) await node.importImage(archive, reference);
    }),
  );
  const kubectl = async (...args: string[]): Promise<void> => {
    const { code, stderr } = await cluster.kubectl(args);
    if (code !== 0) throw new Error(`kubectl ${args.slice(0, 3).join(' ')} failed: ${stderr.trim()}`);
  };
  say('manifests');
  const folder = writeOverlay(cluster.layout, images);
  await kubectl('apply', '-f', join(repository, 'manifests/namespace.yaml'));
  await kubectl('apply', '-k', folder);
  say('waiting for the pods of controller and agents');
  for (const [kind, name] of Object.entries(workloads)) {
    await kubectl('-n', SYSTEM_NAMESPACE, 'rollout', 'status', `${kind}/${name}`, '--timeout=60s').catch(
      async (error: unknown) => {
        const { stdout } = await cluster.kubectl([
          '-n',
          SYSTEM_NAMESPACE,
          'get',
          'pods,events',
          '-o',
          'wide',
        ]);
        throw new Error(`${String(error)}\n${stdout}`);
      },
    );
  }
}

/** Takes away what installProject applied. With the namespace goes what is in it, perhaps before it is asked for. */
export async function uninstallProject(cluster: Cluster): Promise<void> {
  const { code, stderr } = await cluster.kubectl([
    'delete',
    '-k',
    overlay(cluster.layout),
    '--ignore-not-found',
    '--timeout=60s',
  ]);
  if (code !== 0) throw new Error(`kubectl delete -k failed: ${stderr.trim()}`);
}

const overlay = (layout: Layout): string => join(layout.dir, 'install');

/**
 * What is different here from the manifests: the Lease is short, so that tests that end the one who leads do not wait, and the pods
 * say of which image they are, so that they are replaced when its tag stays and its contents change.
 */
function writeOverlay(layout: Layout, images: readonly ImageArchive[]): string {
  const folder = overlay(layout);
  mkdirSync(folder, { recursive: true });
  const digestOf = (name: string): string =>
    images.find(({ reference }) => reference.includes(name))?.digest ?? '';
  const annotated = (kind: keyof typeof workloads, digest: string) => ({
    patch: JSON.stringify({
      apiVersion: 'apps/v1',
      kind,
      metadata: { name: workloads[kind], namespace: SYSTEM_NAMESPACE },
      spec: { template: { metadata: { annotations: { 'lpm.my.domain/image-digest': digest } } } },
    }),
  });
  const election = ['lease-duration=8s', 'renew-deadline=6s', 'retry-period=500ms'];
  const kustomization = {
    apiVersion: 'kustomize.config.k8s.io/v1beta1',
    kind: 'Kustomization',
    resources: [relative(folder, join(repository, 'manifests'))],
    patches: [
      annotated('Deployment', digestOf('controller')),
      annotated('DaemonSet', digestOf('checkpoint-agent')),
      {
        target: { kind: 'Deployment', name: workloads.Deployment },
        patch: JSON.stringify(
          election.map((flag) => ({
            op: 'add',
            path: '/spec/template/spec/containers/0/args/-',
            value: `--leader-elect-${flag}`,
          })),
        ),
      },
    ],
  };
  // JSON is YAML too.
  writeFileSync(join(folder, 'kustomization.yaml'), JSON.stringify(kustomization, null, 2));
  return folder;
}
