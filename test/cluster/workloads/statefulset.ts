/** StatefulSet: pods with names that stay, one after another. */
import { ApiError } from '../../../common/kube/api-error.js';
import { messageOf } from '../../../common/errors.js';
import type { Pod } from '../../../common/kube/types.js';
import type { Requeue } from '../../../controller/queue.js';
import { sameJson } from '../apiserver/kube-object.js';
import { keyOfChange, soonAvailable } from './replicaset.js';
import { revisionsOf, trimRevisions, updateRevision } from './revisions.js';
import { isEndOfNamespace, PodControl, type Controller, type Shell } from './shell.js';
import { decideStatefulSet, ordinalOf, revisionLabel, statefulSetStatus } from './statefulset-decide.js';
import type { ControllerRevision, StatefulSet } from './types.js';

type Template = { metadata?: { labels?: Record<string, string> }; spec?: Record<string, unknown> };

export function statefulSetController(shell: Shell): Controller {
  const { caches, clients } = shell;
  const name = 'statefulset-controller';
  const control = new PodControl(shell, clients.statefulSets as never, name);

  async function sync(key: string): Promise<Requeue | void> {
    const set = caches.statefulSets.get(key);
    if (!set) return control.expectations.forget(key);
    const pods = (await control.claim(set, set.spec?.selector)).filter(
      (pod) => ordinalOf(set, pod) !== undefined,
    );
    if (set.metadata.deletionTimestamp) return;
    const update = await updateRevision(shell, set, set.spec?.template, {
      kind: 'StatefulSet',
      hashLabel: 'controller.kubernetes.io/hash',
    });
    const revisions = revisionsOf(shell, set);
    const current = revisions.find(({ metadata }) => metadata.name === set.status?.currentRevision) ?? update;
    const view = { set, pods, current: current.metadata.name, update: update.metadata.name };
    const now = shell.now();
    if (control.expectations.areFulfilled(key)) {
      for (const action of decideStatefulSet(view, now)) {
        if (action.do === 'delete') await remove(set, key, action.pod);
        else await create(set, key, action.ordinal, action.revision === view.update ? update : current);
      }
    }
    const status = statefulSetStatus(view, now);
    if (!sameJson(status, set.status)) await clients.statefulSets.replaceStatus({ ...set, status });
    const inUse = new Set([
      view.current,
      view.update,
      ...pods.map((pod) => pod.metadata.labels?.[revisionLabel] ?? ''),
    ]);
    await trimRevisions(shell, set, inUse, set.spec?.revisionHistoryLimit ?? 10);
    return soonAvailable(pods, set.spec?.minReadySeconds ?? 0, now);
  }

  async function create(
    set: StatefulSet,
    key: string,
    ordinal: number,
    revision: ControllerRevision,
  ): Promise<void> {
    const pod = podOf(set, ordinal, revision);
    const { name: podName } = pod.metadata;
    control.expectations.expectCreations(key, 1);
    try {
      await createClaims(set, podName);
      await clients.pods.create(pod, set.metadata.namespace);
    } catch (error) {
      control.expectations.creationSeen(key);
      if (error instanceof ApiError && error.isAlreadyExists) return;
      if (!isEndOfNamespace(error))
        tell(
          set,
          'Warning',
          'FailedCreate',
          `create Pod ${podName} in StatefulSet ${set.metadata.name} failed error: ${messageOf(error)}`,
        );
      throw error;
    }
    tell(
      set,
      'Normal',
      'SuccessfulCreate',
      `Create Pod ${podName} in StatefulSet ${set.metadata.name} successful`,
    );
  }

  async function createClaims(set: StatefulSet, podName: string): Promise<void> {
    for (const template of set.spec?.volumeClaimTemplates ?? []) {
      const claimName = `${template.metadata?.name ?? ''}-${podName}`;
      const path = `/api/v1/namespaces/${set.metadata.namespace}/persistentvolumeclaims`;
      const metadata = { name: claimName, labels: set.spec?.selector.matchLabels };
      const body = { apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata, spec: template.spec };
      try {
        await shell.client.json('POST', path, { body });
      } catch (error) {
        // It outlives the pod: the next pod of that name has it again.
        if (!(error instanceof ApiError) || !error.isAlreadyExists) throw error;
      }
    }
  }

  async function remove(set: StatefulSet, key: string, pod: Pod): Promise<void> {
    const { name: podName, namespace, uid } = pod.metadata;
    control.expectations.expectDeletions(key, [uid!]);
    try {
      await clients.pods.delete(podName, namespace, { uid: uid! });
    } catch (error) {
      control.expectations.deletionSeen(key, uid!);
      if (error instanceof ApiError && (error.isNotFound || error.isConflict)) return;
      throw error;
    }
    tell(
      set,
      'Normal',
      'SuccessfulDelete',
      `Delete Pod ${podName} in StatefulSet ${set.metadata.name} successful`,
    );
  }

  const tell = control.tell.bind(control);

  /** A pod with the name, the labels and the volumes that its number gives it. */
  function podOf(set: StatefulSet, ordinal: number, revision: ControllerRevision): Pod {
    const { template } = (revision.data as { spec: { template: Template } }).spec;
    const pod = control.fromTemplate(set, template);
    const podName = `${set.metadata.name}-${ordinal}`;
    pod.metadata.name = podName;
    pod.metadata.labels = {
      ...pod.metadata.labels,
      'statefulset.kubernetes.io/pod-name': podName,
      'apps.kubernetes.io/pod-index': String(ordinal),
      [revisionLabel]: revision.metadata.name,
    };
    const claims = (set.spec?.volumeClaimTemplates ?? []).map((one) => one.metadata?.name ?? '');
    const kept = (pod.spec?.volumes ?? []).filter((volume) => !claims.includes(volume.name));
    const volumes = claims.map((claim) => ({
      name: claim,
      persistentVolumeClaim: { claimName: `${claim}-${podName}` },
    }));
    pod.spec = {
      ...pod.spec!,
      hostname: podName,
      ...(set.spec?.serviceName ? { subdomain: set.spec.serviceName } : {}),
      ...(kept.length + volumes.length > 0 ? { volumes: [...volumes, ...kept] } : {}),
    };
    return pod;
  }

  return {
    name,
    sync,
    keysOf(change) {
      if (change.kind === 'StatefulSet') return [keyOfChange(change)];
      if (change.kind !== 'Pod') return [];
      return control.keysOf(
        change,
        (owner) => (owner as StatefulSet).spec?.selector,
        () => caches.statefulSets.list(),
      );
    },
  };
}
