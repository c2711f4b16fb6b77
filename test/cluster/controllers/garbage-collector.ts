/**
 * Deletes what has lost its owners, and carries out the propagation policies of deletions
 * (kubernetes.io: "Garbage Collection"; k8s.io/kubernetes/pkg/controller/garbagecollector). Keys are UIDs.
 */
import type { KubeObject } from '../../../common/kube/types.js';
import {
  foreground,
  isEnding,
  isOrphaning,
  isWaiting,
  judge,
  orphan,
  type OwnerReference,
  type OwnerState,
} from './garbage-decide.js';
import type { ItemChange } from './inventory.js';
import type { ClusterController, ClusterShell } from './shell.js';

export function garbageCollector({ inventory }: ClusterShell): ClusterController {
  async function sync(uid: string): Promise<void> {
    const item = inventory.get(uid);
    if (!item) return;
    const { client, object: known } = item;
    // The copy may be old: what is deleted is decided by what is stored.
    const object = await client.find(known.metadata.name, known.metadata.namespace);
    if (!object || object.metadata.uid !== uid) return;
    if (isOrphaning(object)) return orphanDependents(uid, object, client);
    if (isEnding(object)) return isWaiting(object) ? finishForeground(uid, object, client) : undefined;
    const references = object.metadata.ownerReferences ?? [];
    const owners = await Promise.all(
      references.map(async (reference) => ({ reference, state: await stateOf(reference, object) })),
    );
    const hasDependents = inventory.dependentsOf(uid).length > 0;
    const verdict = judge(owners, object.metadata.finalizers ?? [], hasDependents);
    switch (verdict.action) {
      case 'keep':
        return;
      case 'release':
        await client.patch(object, { ownerReferences: verdict.left });
        return;
      case 'delete':
        await client.delete(object, verdict.policy);
        return;
      default:
        return verdict satisfies never;
    }
  }

  type Client = NonNullable<ReturnType<typeof inventory.get>>['client'];

  async function stateOf(reference: OwnerReference, dependent: KubeObject): Promise<OwnerState> {
    const waits = (owner: KubeObject): OwnerState =>
      isWaiting(owner) && reference.blockOwnerDeletion ? 'waits' : 'alive';
    const known = inventory.get(reference.uid);
    if (known) return waits(known.object);
    const client = inventory.clientOf(reference.apiVersion, reference.kind);
    if (!client) return 'unknown';
    const { namespace } = dependent.metadata;
    // An owner in a namespace cannot own what is in none; nobody can tell which one is meant.
    if (client.kind.namespaced && namespace === undefined) return 'unknown';
    const owner = await client.find(reference.name, client.kind.namespaced ? namespace : undefined);
    return owner?.metadata.uid === reference.uid ? waits(owner) : 'gone';
  }

  /** The owner goes when no dependent holds it up any more. Each dependent is looked at for itself. */
  async function finishForeground(uid: string, owner: KubeObject, client: Client): Promise<void> {
    const dependents = inventory.dependentsOf(uid).map(({ object }) => object);
    const isBlocking = ({ metadata }: KubeObject): boolean =>
      metadata.ownerReferences?.some((one) => one.uid === uid && one.blockOwnerDeletion) ?? false;
    if (!dependents.some(isBlocking)) await dropFinalizer(owner, client, foreground);
  }

  async function orphanDependents(uid: string, owner: KubeObject, client: Client): Promise<void> {
    await Promise.all(
      inventory.dependentsOf(uid).map(async ({ client: of, object }) => {
        const { name, namespace } = object.metadata;
        const fresh = await of.find(name, namespace);
        const references = fresh?.metadata.ownerReferences ?? [];
        const left = references.filter((reference) => reference.uid !== uid);
        if (fresh && left.length < references.length) await of.patch(fresh, { ownerReferences: left });
      }),
    );
    await dropFinalizer(owner, client, orphan);
  }

  async function dropFinalizer(object: KubeObject, client: Client, finalizer: string): Promise<void> {
    const finalizers = object.metadata.finalizers?.filter((one) => one !== finalizer);
    await client.patch(object, { finalizers });
  }

  const waitingOwners = (object: KubeObject | undefined): string[] =>
    (object?.metadata.ownerReferences ?? [])
      .map(({ uid }) => uid)
      .filter((uid) => {
        const owner = inventory.get(uid);
        return owner !== undefined && isWaiting(owner.object);
      });

  return {
    name: 'garbage-collector-controller',
    workers: 10,
    sync,
    keysOfItem({ object, old }: ItemChange): string[] {
      const dependents = (uid: string): string[] =>
        inventory.dependentsOf(uid).map((item) => item.object.metadata.uid!);
      if (!object) return [...dependents(old!.metadata.uid!), ...waitingOwners(old)];
      const uid = object.metadata.uid!;
      const references = object.metadata.ownerReferences ?? [];
      const sameOwners = JSON.stringify(references) === JSON.stringify(old?.metadata.ownerReferences ?? []);
      const isOwnerless = references.some((reference) => !inventory.get(reference.uid));
      const begins = isEnding(object) && (isWaiting(object) || isOrphaning(object));
      return [
        ...(begins || (!sameOwners && (isOwnerless || waitingOwners(object).length > 0)) ? [uid] : []),
        ...(isWaiting(object) && !(old && isWaiting(old)) ? dependents(uid) : []),
        // A dependent that lets go, or no longer holds its owner up.
        ...(sameOwners ? [] : waitingOwners(old)),
      ];
    },
  };
}
