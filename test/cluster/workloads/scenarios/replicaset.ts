/** A ReplicaSet and the pods that come and go from it. */
import { until } from '../../../support/until.js';
import type { Scenario, Stage } from '../play.js';
import { behaviourLabel, podTemplate, selector } from './templates.js';
import { cheap } from './deployments.js';

export const ownership: Scenario = {
  name: 'replicaset-ownership',
  about: 'Pods that are deleted, released and adopted.',
  marks: [],
  steps: [
    {
      title: 'a ReplicaSet of 3',
      act: (stage) =>
        stage.clients.replicaSets.create(
          { metadata: { name: 'web' }, spec: { replicas: 3, selector, template: podTemplate() } } as never,
          stage.namespace,
        ),
      until: (stage) => replicaSetHas(stage, 3),
    },
    {
      title: 'one pod is deleted',
      act: (stage) => stage.deletePod('p2'),
      until: (stage) => replicaSetHas(stage, 3) && stage.pods().length === 3,
    },
    {
      title: 'one pod is relabelled',
      act: (stage) => stage.patchPod('p1', { metadata: { labels: { app: 'other' } } }),
      until: (stage) => replicaSetHas(stage, 3) && stage.pods().length === 4,
    },
    {
      title: 'it is labelled back, another is cheap',
      act: async (stage) => {
        await stage.patchPod('p3', cheap);
        await stage.patchPod('p1', { metadata: { labels: { app: 'web' } } });
      },
      until: (stage) => replicaSetHas(stage, 3) && stage.pods().length === 3,
    },
    {
      title: 'a ready pod without owner gets the label, another is cheap',
      act: async (stage) => {
        await stage.clients.pods.create(
          {
            metadata: { name: 'orphan', labels: { [behaviourLabel]: 'runs' } },
            spec: podTemplate().spec,
          } as never,
          stage.namespace,
        );
        await waitReady(stage, 'orphan');
        await stage.patchPod('p4', cheap);
        await stage.patchPod('orphan', { metadata: { labels: { app: 'web' } } });
      },
      until: (stage) => replicaSetHas(stage, 3) && stage.pods().length === 3,
    },
    {
      title: 'the ReplicaSet is deleted, its pods left alone',
      act: (stage) =>
        stage.clients.replicaSets.delete('web', stage.namespace, { propagationPolicy: 'Orphan' }),
      until: (stage) =>
        stage.seen.list('ReplicaSet').length === 0 &&
        stage.pods().every((pod) => (pod.metadata.ownerReferences ?? []).length === 0),
    },
  ],
};

async function waitReady(stage: Stage, name: string): Promise<void> {
  await until(`${name} is ready`, () => stage.readyPods().some((pod) => pod.metadata.name === name));
}

function replicaSetHas(stage: Stage, replicas: number): boolean {
  return (
    stage.isObserved('ReplicaSet', 'web') &&
    stage.field('ReplicaSet', 'web', 'status', 'availableReplicas') === replicas &&
    stage.field('ReplicaSet', 'web', 'status', 'replicas') === replicas
  );
}
