/**
 * The project on the local cluster as on any other: its images in the nodes, its manifests applied with kubectl, so that the agents are
 * privileged pods of the DaemonSet, which set their nodes up, and the controller is a Deployment.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { buildImages, type ImageArchive } from '../../manifests/images/build.js';
import { SYSTEM_NAMESPACE } from '../../common/api/names.js';
import type { KubeClient } from '../../common/kube/client.js';
import type { Cluster } from './cluster.js';
import type { ClusterRecord } from './cluster-record.js';
import type { TestImage } from './images/images.js';
import { nodePlans, type Layout } from './layout.js';
import type { NodeHandle } from './node/handle.js';
import type { Say } from './node-root.js';
import { repository } from './paths.js';

const workloads = {
  Deployment: 'lpm-controller-manager',
  DaemonSet: 'lpm-live-pod-migration-controller-checkpoint-agent',
};

/** On a busy machine a program of ours takes ten seconds to come up, and one pod comes after the other. */
const READY_MS = 120_000;

/**
 * Whether agents and controller are pods, which a cluster is made with and keeps.
 *
 * @param processes what is asked for; undefined: whatever the cluster has, pods in a new one
 * @throws one sentence when the cluster runs our programs in the other way, or when that way cannot be.
 */
export function chooseWay(
  layout: Layout,
  known: Pick<ClusterRecord, 'installed'> | undefined,
  { faults = false, processes }: { faults?: boolean; processes?: boolean | undefined },
): { installed: boolean } {
  if (faults && processes === false) {
    throw new Error('The images have no fault points: with --faults agents and controller are processes.');
  }
  const wanted = faults || processes === true ? false : processes === undefined ? undefined : true;
  if (!known) return { installed: wanted ?? true };
  const installed = known.installed ?? false;
  if (wanted !== undefined && wanted !== installed) {
    throw new Error(
      `The cluster in ${layout.dir} has agents and controller as ${installed ? 'pods' : 'processes'}. ` +
        'Take it down first: npm run cluster -- down',
    );
  }
  return { installed };
}

/** The images as the programs were built last. */
export const projectImages = (say: Say): Promise<ImageArchive[]> => buildImages({ say });

/** For a seed of the nodes' disks: the programs in the images are a small part of them, and change. */
export const asSeed = ({ reference, archive, base }: ImageArchive): TestImage => ({
  reference,
  archive,
  contents: base,
});

/** Loads the images that a node does not have as they are. */
export async function loadProject(node: NodeHandle, images: readonly ImageArchive[]): Promise<void> {
  const { stdout } = await node.exec(['ctr', '-n', 'k8s.io', 'images', 'ls']);
  for (const { archive, digest, reference } of images) {
    if (!stdout.includes(digest)) await node.importImage(archive, reference);
  }
}

/** What is different from the manifests. */
export interface Deviations {
  /** Further flags of the controller. */
  controllerFlags?: readonly string[] | undefined;
  /** Default: as many as the manifests say. */
  replicas?: number | undefined;
}

/** Applies the manifests. The images are in the nodes, or will be. */
export async function applyProject(
  layout: Layout,
  kubectl: Cluster['kubectl'],
  images: readonly ImageArchive[],
  deviations: Deviations = {},
): Promise<void> {
  const folder = writeOverlay(layout, images, deviations);
  const { code, stderr } = await kubectl(['apply', '-k', folder]);
  if (code !== 0) throw new Error(`kubectl apply -k ${folder} failed: ${stderr.trim()}`);
}

/** Waits until every pod of the manifests is ready, as they are now. */
export async function projectReady(cluster: Cluster, say: Say): Promise<void> {
  const kube = cluster.client();
  const deadline = Date.now() + READY_MS;
  let before = '';
  try {
    for (;;) {
      const all = await readiness(kube);
      const now = all.map(({ what, ready, of }) => `${what} ${ready} of ${of}`).join(', ');
      if (now !== before) say(`  ready: ${now}`);
      before = now;
      if (all.every(({ ready, of }) => ready >= of)) return;
      if (Date.now() > deadline) {
        const what = ['-n', SYSTEM_NAMESPACE, 'get', 'pods,events', '-o', 'wide'];
        const { stdout } = await cluster.kubectl(what);
        throw new Error(`Not more is ready after ${READY_MS / 1000} seconds than: ${now}\n${stdout}`);
      }
      await delay(100);
    }
  } finally {
    kube.close();
  }
}

interface Workload {
  metadata: { generation?: number };
  spec: { replicas?: number };
  status?: {
    observedGeneration?: number;
    replicas?: number;
    updatedReplicas?: number;
    readyReplicas?: number;
    desiredNumberScheduled?: number;
    updatedNumberScheduled?: number;
    numberReady?: number;
  };
}

/** How many pods are ready, of those that the manifests make now. */
async function readiness(kube: KubeClient): Promise<{ what: string; ready: number; of: number }[]> {
  const get = (kind: 'deployments' | 'daemonsets', name: string): Promise<Workload> =>
    kube.json('GET', `/apis/apps/v1/namespaces/${SYSTEM_NAMESPACE}/${kind}/${name}`);
  const [controller, agents] = await Promise.all([
    get('deployments', workloads.Deployment),
    get('daemonsets', workloads.DaemonSet),
  ]);
  const seen = ({ metadata, status }: Workload): NonNullable<Workload['status']> =>
    status?.observedGeneration === metadata.generation ? (status ?? {}) : {};
  const deployed = seen(controller);
  const wanted = controller.spec.replicas ?? 1;
  const replicas = Math.min(deployed.updatedReplicas ?? 0, deployed.readyReplicas ?? 0);
  const daemons = seen(agents);
  return [
    // Those of before have to be gone too.
    { what: 'controller', ready: (deployed.replicas ?? 0) > wanted ? 0 : replicas, of: wanted },
    {
      what: 'agents',
      ready: Math.min(daemons.updatedNumberScheduled ?? 0, daemons.numberReady ?? 0),
      of: nodePlans.length,
    },
  ];
}

/** A pod of controller or agents. */
export interface ProjectPod {
  name: string;
  of: 'agent' | 'controller';
  node: string;
  ready: boolean;
}

export async function projectPods(kube: KubeClient): Promise<ProjectPod[]> {
  const { items } = await kube.pods.list({ namespace: SYSTEM_NAMESPACE });
  return items
    .map(({ metadata, spec, status }) => ({
      name: metadata.name,
      of: metadata.labels?.app === 'checkpoint-agent' ? ('agent' as const) : ('controller' as const),
      node: spec?.nodeName ?? '',
      ready: status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') ?? false,
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Loads, applies and waits: what makes of a cluster without the project one with it. */
export async function installProject(cluster: Cluster, say: Say): Promise<void> {
  const images = await projectImages(say);
  await Promise.all(cluster.nodes.map((node) => loadProject(node, images)));
  await applyProject(cluster.layout, cluster.kubectl, images);
  await projectReady(cluster, say);
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
function writeOverlay(
  layout: Layout,
  images: readonly ImageArchive[],
  { controllerFlags = [], replicas }: Deviations,
): string {
  const folder = overlay(layout);
  mkdirSync(folder, { recursive: true });
  const digestOf = (name: string): string =>
    images.find(({ reference }) => reference.includes(name))?.digest ?? '';
  const annotated = (kind: keyof typeof workloads, digest: string) => ({
    patch: JSON.stringify({
      apiVersion: 'apps/v1',
      kind,
      metadata: { name: workloads[kind], namespace: SYSTEM_NAMESPACE },
      spec: {
        ...(kind === 'Deployment' && replicas !== undefined ? { replicas } : {}),
        template: { metadata: { annotations: { 'lpm.my.domain/image-digest': digest } } },
      },
    }),
  });
  const election = ['lease-duration=8s', 'renew-deadline=6s', 'retry-period=500ms'];
  const flags = [...election.map((flag) => `--leader-elect-${flag}`), ...controllerFlags];
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
          flags.map((value) => ({ op: 'add', path: '/spec/template/spec/containers/0/args/-', value })),
        ),
      },
    ],
  };
  // JSON is YAML too.
  writeFileSync(join(folder, 'kustomization.yaml'), JSON.stringify(kustomization, null, 2));
  return folder;
}
