/** DaemonSet: a pod on every node that fits. */
import type { Pod } from '../../../common/kube/types.js';
import type { Requeue } from '../../../controller/queue.js';
import { sameJson } from '../apiserver/kube-object.js';
import { daemonTolerations, decideDaemonSet, hashLabel } from './daemonset-decide.js';
import { keyOfChange, soonAvailable } from './replicaset.js';
import { trimRevisions, updateRevision } from './revisions.js';
import { PodControl, type Controller, type Shell } from './shell.js';
import type { DaemonSet } from './types.js';

const generationAnnotation = 'deprecated.daemonset.template.generation';

export function daemonSetController(shell: Shell): Controller {
  const { caches, clients } = shell;
  const control = new PodControl(shell, clients.daemonSets as never, 'daemonset-controller');

  async function sync(key: string): Promise<Requeue | void> {
    const set = caches.daemonSets.get(key);
    if (!set) return control.expectations.forget(key);
    if (set.metadata.deletionTimestamp) return;
    const pods = await control.claim(set, set.spec?.selector);
    const generation = set.metadata.annotations?.[generationAnnotation];
    const revision = await updateRevision(shell, set, set.spec?.template, {
      kind: 'DaemonSet',
      hashLabel,
      ...(generation ? { annotations: { [generationAnnotation]: generation } } : {}),
    });
    const hash = revision.metadata.labels![hashLabel]!;
    const now = shell.now();
    const decision = decideDaemonSet(set, caches.nodes.list(), pods, hash, now);
    if (control.expectations.areFulfilled(key)) {
      await control.delete(set, key, decision.delete);
      await control.create(
        set,
        key,
        decision.create.map((node) => podOn(set, node, hash, generation)),
      );
    }
    if (!sameJson(decision.status, set.status)) {
      await clients.daemonSets.replaceStatus({ ...set, status: decision.status });
    }
    const hashes = new Set(
      pods.map((pod) => `${set.metadata.name}-${pod.metadata.labels?.[hashLabel] ?? ''}`),
    );
    await trimRevisions(shell, set, hashes.add(revision.metadata.name), set.spec?.revisionHistoryLimit ?? 10);
    return soonAvailable(pods, set.spec?.minReadySeconds ?? 0, now);
  }

  function podOn(set: DaemonSet, node: string, hash: string, generation: string | undefined): Pod {
    const pod = control.fromTemplate(set, set.spec!.template);
    pod.metadata.labels = {
      ...pod.metadata.labels,
      [hashLabel]: hash,
      ...(generation ? { 'pod-template-generation': generation } : {}),
    };
    const matchFields = [{ key: 'metadata.name', operator: 'In', values: [node] }];
    const terms =
      pod.spec!.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
    const nodeSelectorTerms = terms?.length
      ? terms.map(({ matchExpressions }) => ({
          ...(matchExpressions ? { matchExpressions } : {}),
          matchFields,
        }))
      : [{ matchFields }];
    const requiredDuringSchedulingIgnoredDuringExecution = { nodeSelectorTerms };
    pod.spec = {
      ...pod.spec!,
      affinity: {
        ...pod.spec!.affinity,
        nodeAffinity: { ...pod.spec!.affinity?.nodeAffinity, requiredDuringSchedulingIgnoredDuringExecution },
      },
      tolerations: [...(pod.spec!.tolerations ?? []), ...daemonTolerations],
    };
    return pod;
  }

  return {
    name: 'daemonset-controller',
    sync,
    keysOf(change) {
      if (change.kind === 'DaemonSet') return [keyOfChange(change)];
      const all = () => caches.daemonSets.list();
      if (change.kind === 'Node') return all().map((set) => `${set.metadata.namespace}/${set.metadata.name}`);
      if (change.kind !== 'Pod') return [];
      return control.keysOf(change, (owner) => (owner as DaemonSet).spec?.selector, all);
    },
  };
}
