/** Deployments. */
import type { Scenario, Stage, Step } from '../play.js';
import { type PodOptions, podTemplate, selector, setVersion, nothingLeft } from './templates.js';

export const createDeployment = (stage: Stage, spec: object, template: PodOptions = {}): Promise<unknown> =>
  stage.clients.deployments.create(
    { metadata: { name: 'web' }, spec: { selector, template: podTemplate(template), ...spec } } as never,
    stage.namespace,
  );
const patchDeployment = (stage: Stage, patch: object): Promise<unknown> =>
  stage.clients.deployments.patch('web', stage.namespace, patch, { type: 'strategic' });
const scaleDeployment = (stage: Stage, replicas: number): Promise<unknown> =>
  patchDeployment(stage, { spec: { replicas } });

/** All replicas of the deployment are there, new and available, and nothing else is. */
export function deploymentHas(replicas: number) {
  return (stage: Stage): boolean =>
    stage.isObserved('Deployment', 'web') &&
    Number(stage.field('Deployment', 'web', 'status', 'updatedReplicas') ?? 0) === replicas &&
    Number(stage.field('Deployment', 'web', 'status', 'availableReplicas') ?? 0) === replicas &&
    Number(stage.field('Deployment', 'web', 'status', 'replicas') ?? 0) === replicas &&
    stage.readyPods().length >= replicas &&
    stage.pods().every((pod) => !pod.metadata.deletionTimestamp);
}

const deleteDeployment: Step = {
  title: 'the deployment is deleted',
  act: (stage) =>
    stage.clients.deployments.delete('web', stage.namespace, { propagationPolicy: 'Background' }),
  until: nothingLeft,
};

export const cheap = { metadata: { annotations: { 'controller.kubernetes.io/pod-deletion-cost': '-10' } } };

export const scaling: Scenario = {
  name: 'deployment-scale',
  about: 'A Deployment makes a ReplicaSet, that makes pods; up and down; the cheapest to delete go first.',
  marks: [],
  steps: [
    {
      title: 'a deployment of 3',
      act: (stage) => createDeployment(stage, { replicas: 3 }),
      until: deploymentHas(3),
    },
    { title: 'scaled to 5', act: (stage) => scaleDeployment(stage, 5), until: deploymentHas(5) },
    {
      title: 'scaled to 2, three pods being cheap',
      act: async (stage) => {
        for (const role of ['p1', 'p3', 'p4']) await stage.patchPod(role, cheap);
        await scaleDeployment(stage, 2);
      },
      until: deploymentHas(2),
    },
    deleteDeployment,
  ],
};

export const rollout: Scenario = {
  name: 'deployment-rollout',
  about: 'A rolling update pod by pod; a second one while paused; back to the first template; revisions.',
  marks: ['ready'],
  equalPods: true,
  steps: [
    {
      title: 'a deployment of 3',
      act: (stage) => createDeployment(stage, { replicas: 3 }),
      until: deploymentHas(3),
    },
    { title: 'version 2', act: (stage) => patchDeployment(stage, setVersion('2')), until: deploymentHas(3) },
    {
      title: 'paused, then version 3',
      act: async (stage) => {
        await patchDeployment(stage, { spec: { paused: true } });
        await patchDeployment(stage, setVersion('3'));
      },
      until: (stage) =>
        stage.isObserved('Deployment', 'web') &&
        stage.field('Deployment', 'web', 'status', 'updatedReplicas') === undefined,
    },
    {
      title: 'resumed',
      act: (stage) => patchDeployment(stage, { spec: { paused: null } }),
      until: deploymentHas(3),
    },
    {
      title: 'version 1 again',
      act: (stage) => patchDeployment(stage, setVersion('1')),
      until: deploymentHas(3),
    },
  ],
};

export const recreate: Scenario = {
  name: 'deployment-recreate',
  about: 'Recreate: all old pods are gone before a new one is made.',
  marks: ['ready', 'ended'],
  equalPods: true,
  steps: [
    {
      title: 'a deployment of 2',
      act: (stage) => createDeployment(stage, { replicas: 2, strategy: { type: 'Recreate' } }),
      until: deploymentHas(2),
    },
    { title: 'version 2', act: (stage) => patchDeployment(stage, setVersion('2')), until: deploymentHas(2) },
  ],
};

export const deadline: Scenario = {
  name: 'deployment-deadline',
  about: 'A rollout whose pods never become ready exceeds its deadline, and completes once they do.',
  marks: ['ready'],
  steps: [
    {
      title: 'a deployment of 1 that is not ready',
      act: (stage) => createDeployment(stage, { replicas: 1, progressDeadlineSeconds: 4 }, { gated: true }),
      until: (stage) => stage.condition('Deployment', 'web', 'Progressing') === 'False',
    },
    { title: 'it becomes ready', act: (stage) => stage.openGate('p1', 'True'), until: deploymentHas(1) },
  ],
};
