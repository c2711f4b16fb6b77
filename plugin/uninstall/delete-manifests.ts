/** The objects of the manifests, in the order opposite to that in which they are made, CRDs last. */
import { AGENT_ACCOUNT, SYSTEM_NAMESPACE } from '../../common/api/names.js';
import { messageOf } from '../../common/errors.js';
import { ApiError, unlessNotFound } from '../../common/kube/api-error.js';
import type { KubeClient } from '../../common/kube/client.js';
import type { KubeObject } from '../../common/kube/types.js';
import { REPOSITORY_CLAIM, resources } from '../doctor/objects.js';
import { ApiPaths } from '../install/api-paths.js';
import type { ManifestObject, Manifests } from '../install/bundled.js';
import { CHECKPOINT_CRDS } from './inventory.js';
import { Left, untilGone, type Patience } from './until-gone.js';

const PART_OF = 'app.kubernetes.io/part-of';
const OURS = 'kubectl-migrate';
/** Milliseconds for the deletion of a volume, which is others' work. */
const VOLUME_MS = 60_000;

type Say = (text: string) => void;

/** What is deleted, step by step; the next begins when the one before is gone. Pure. */
export function deletionSteps(
  manifests: Manifests,
  keep: { crds: boolean; claim: boolean; agents?: boolean },
): ManifestObject[][] {
  const components = Object.values(manifests.components).flatMap(({ objects }) => objects);
  const all = [...manifests.objects, ...components].reverse();
  const isKept = ({ kind, metadata }: ManifestObject): boolean =>
    (keep.crds && kind === 'CustomResourceDefinition' && CHECKPOINT_CRDS.includes(metadata.name)) ||
    // By them the nodes are brought back later, when nobody needs any more what is left there.
    (keep.agents === true &&
      (kind === 'Namespace' ||
        kind === 'DaemonSet' ||
        (kind === 'ServiceAccount' && metadata.name === AGENT_ACCOUNT))) ||
    // The archives lie on what it claims, and storage that is not claimed any more may be wiped.
    (keep.claim && (kind === 'Namespace' || STORAGE.has(kind) || isProvisioner(metadata)));
  const rest = all.filter((object) => !isKept(object));
  const ofKind = (...kinds: string[]) => rest.filter(({ kind }) => kinds.includes(kind));
  const first = ofKind('DaemonSet', 'Deployment', 'Job').filter(
    ({ kind, metadata }) => kind === 'Job' || metadata.namespace === SYSTEM_NAMESPACE,
  );
  // While who provides it still works: else its volume stays.
  const storage = ofKind('PersistentVolumeClaim');
  const last = ofKind('CustomResourceDefinition');
  const namespace = ofKind('Namespace');
  const middle = rest.filter(
    (object) => ![first, storage, last, namespace].some((step) => step.includes(object)),
  );
  return [first, storage, middle, namespace, last].filter((step) => step.length > 0);
}

const STORAGE = new Set(['PersistentVolumeClaim', 'StorageClass']);
const isProvisioner = ({ namespace, name }: KubeObject['metadata']): boolean =>
  namespace === 'kube-system' || name.startsWith('nfs-');

/**
 * @param keep the checkpoints with their CRDs; the DaemonSet of the agents with what its pods need
 * @param say a line for each object that was there
 */
export async function deleteManifests(
  client: KubeClient,
  manifests: Manifests,
  keep: { checkpoints: boolean; agents: boolean },
  patience: Patience,
  say: Say,
): Promise<void> {
  const found = await resources(client).claims.find(REPOSITORY_CLAIM, SYSTEM_NAMESPACE);
  const claim = (keep.checkpoints || keep.agents) && found !== undefined;
  const paths = new ApiPaths(client);
  for (const step of deletionSteps(manifests, { crds: keep.checkpoints, claim, agents: keep.agents })) {
    const deleted: { path: string; shown: string }[] = [];
    for (const object of step) {
      const place = await paths.find(object);
      if (place && (await remove(client, place.path, object.kind, say))) {
        say(`${place.shown} deleted`);
        deleted.push(place);
      }
    }
    await untilGone('Objects', patience, async () => {
      const left: string[] = [];
      for (const { path, shown } of deleted) if (await find(client, path)) left.push(shown);
      return left;
    });
    if (step.some(({ kind }) => kind === 'PersistentVolumeClaim') && found?.spec?.volumeName) {
      await volumeGone(client, found.spec.volumeName, patience, say);
    }
  }
  if (claim && keep.checkpoints)
    say(
      `The namespace ${SYSTEM_NAMESPACE} stays with the claim ${REPOSITORY_CLAIM}, on which the archives lie.`,
    );
}

/** Whoever provides storage deletes a volume when its claim is gone, if its policy says so. */
async function volumeGone(client: KubeClient, name: string, patience: Patience, say: Say): Promise<void> {
  const path = `/api/v1/persistentvolumes/${encodeURIComponent(name)}`;
  const timeoutMs = Math.min(VOLUME_MS, patience.timeoutMs || VOLUME_MS);
  const isDeleted = (volume: KubeObject | undefined): boolean =>
    (volume as (KubeObject & { spec?: { persistentVolumeReclaimPolicy?: string } }) | undefined)?.spec
      ?.persistentVolumeReclaimPolicy === 'Delete';
  try {
    await untilGone('The volume', { ...patience, timeoutMs }, async () =>
      isDeleted(await find(client, path)) ? [name] : [],
    );
  } catch (error) {
    if (error instanceof Left) throw error;
    say(`warning: ${messageOf(error)} See: kubectl describe pv ${name}`);
  }
}

/** Whether it was there and is ours. Somebody else's of the same name (a provisioner that others use as well) stays. */
async function remove(client: KubeClient, path: string, kind: string, say: Say): Promise<boolean> {
  const found = await find(client, path);
  if (!found) return false;
  if (found.metadata.labels?.[PART_OF] !== OURS) {
    say(`note: ${kind} ${found.metadata.name} does not have the label ${PART_OF}=${OURS}: it stays.`);
    return false;
  }
  try {
    await client.json('DELETE', path, {
      body: {
        apiVersion: 'v1',
        kind: 'DeleteOptions',
        propagationPolicy: 'Background',
        preconditions: { uid: found.metadata.uid },
      },
    });
  } catch (error) {
    if (!(error instanceof ApiError) || !error.isNotFound) throw error;
  }
  return true;
}

const find = (client: KubeClient, path: string): Promise<KubeObject | undefined> =>
  unlessNotFound(client.json<KubeObject>('GET', path));
