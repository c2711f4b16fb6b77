/** StatefulSets. */
import type { Pod } from '../../../../common/kube/types.js';
import { until } from '../../../support/until.js';
import type { Scenario, Stage } from '../play.js';
import { podTemplate, selector, setVersion, nothingLeft } from './templates.js';

const createStatefulSet = (stage: Stage, spec: object): Promise<unknown> =>
  stage.clients.statefulSets.create(
    {
      metadata: { name: 'web' },
      spec: { replicas: 3, serviceName: 'web', selector, template: podTemplate(), ...spec },
    } as never,
    stage.namespace,
  );
const patchStatefulSet = (stage: Stage, patch: object): Promise<unknown> =>
  stage.clients.statefulSets.patch('web', stage.namespace, patch, { type: 'strategic' });

function statefulSetHas(replicas: number, updated: number) {
  return (stage: Stage): boolean =>
    stage.isObserved('StatefulSet', 'web') &&
    stage.field('StatefulSet', 'web', 'status', 'replicas') === replicas &&
    Number(stage.field('StatefulSet', 'web', 'status', 'availableReplicas') ?? 0) === replicas &&
    (stage.field('StatefulSet', 'web', 'status', 'updateRevision') ===
    stage.field('StatefulSet', 'web', 'status', 'currentRevision')
      ? replicas
      : Number(stage.field('StatefulSet', 'web', 'status', 'updatedReplicas') ?? 0)) === updated &&
    stage.pods().length === replicas &&
    stage.readyPods().length === replicas;
}

export const ordered: Scenario = {
  name: 'statefulset-ordered',
  about: 'Pods one after another; one is deleted; a rolling update with and without partition; down again.',
  marks: ['ready', 'gone'],
  steps: [
    {
      title: 'a StatefulSet of 3',
      act: (stage) => createStatefulSet(stage, {}),
      until: statefulSetHas(3, 3),
    },
    {
      title: 'web-1 is deleted',
      act: async (stage) => {
        const { uid } = stage.pod('web-1').metadata;
        await stage.deletePod('web-1');
        await until('another web-1', () => {
          const pod = stage.seen.get<Pod>('Pod', 'web-1');
          return pod !== undefined && pod.metadata.uid !== uid;
        });
      },
      until: statefulSetHas(3, 3),
    },
    {
      title: 'version 2 from web-1 on',
      act: (stage) =>
        patchStatefulSet(stage, {
          spec: { ...setVersion('2').spec, updateStrategy: { rollingUpdate: { partition: 1 } } },
        }),
      until: statefulSetHas(3, 2),
    },
    {
      title: 'version 2 for all',
      act: (stage) =>
        patchStatefulSet(stage, { spec: { updateStrategy: { rollingUpdate: { partition: 0 } } } }),
      until: statefulSetHas(3, 3),
    },
    {
      title: 'scaled to 1',
      act: (stage) => patchStatefulSet(stage, { spec: { replicas: 1 } }),
      until: statefulSetHas(1, 1),
    },
    {
      title: 'deleted',
      act: (stage) =>
        stage.clients.statefulSets.delete('web', stage.namespace, { propagationPolicy: 'Background' }),
      until: nothingLeft,
    },
  ],
};

export const parallel: Scenario = {
  name: 'statefulset-parallel',
  about: 'Parallel: nobody waits for anybody, but an update still goes one by one.',
  marks: [],
  steps: [
    {
      title: 'a parallel StatefulSet of 3',
      act: (stage) => createStatefulSet(stage, { podManagementPolicy: 'Parallel' }),
      until: statefulSetHas(3, 3),
    },
    {
      title: 'version 2',
      act: (stage) => patchStatefulSet(stage, setVersion('2')),
      until: statefulSetHas(3, 3),
    },
    {
      title: 'scaled to 1',
      act: (stage) => patchStatefulSet(stage, { spec: { replicas: 1 } }),
      until: statefulSetHas(1, 1),
    },
  ],
};
