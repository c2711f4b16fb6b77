/** A DaemonSet. */
import type { Scenario, Stage } from '../play.js';
import { podTemplate, selector, setVersion } from './templates.js';

export const daemons: Scenario = {
  name: 'daemonset',
  about: 'A pod on every node that fits; a rolling update one by one; a node selector.',
  marks: [],
  equalPods: true,
  steps: [
    {
      title: 'a DaemonSet for all nodes',
      act: (stage) =>
        stage.clients.daemonSets.create(
          {
            metadata: { name: 'web' },
            spec: { selector, template: everywhere('1') },
          } as never,
          stage.namespace,
        ),
      until: (stage) => daemonSetHas(stage, 2),
    },
    {
      title: 'version 2',
      act: (stage) =>
        stage.clients.daemonSets.patch('web', stage.namespace, setVersion('2'), { type: 'strategic' }),
      until: (stage) => daemonSetHas(stage, 2),
    },
    {
      title: 'only where the label is',
      act: (stage) =>
        stage.clients.daemonSets.patch(
          'web',
          stage.namespace,
          { spec: { template: { spec: { nodeSelector: { 'kubernetes.io/hostname': 'k8s-worker' } } } } },
          { type: 'strategic' },
        ),
      until: (stage) => daemonSetHas(stage, 1),
    },
  ],
};

function everywhere(version: string): object {
  const template = podTemplate({ version });
  return {
    ...template,
    spec: { ...template.spec, tolerations: [{ operator: 'Exists', effect: 'NoSchedule' }] },
  };
}

function daemonSetHas(stage: Stage, count: number): boolean {
  return (
    stage.isObserved('DaemonSet', 'web') &&
    ['desiredNumberScheduled', 'updatedNumberScheduled', 'numberAvailable', 'currentNumberScheduled'].every(
      (field) => stage.field('DaemonSet', 'web', 'status', field) === count,
    ) &&
    stage.pods().length === count
  );
}
