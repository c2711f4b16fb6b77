/** What Services and PodDisruptionBudgets make of pods. */
import { until } from '../../../support/until.js';
import type { Scenario, Stage } from '../play.js';
import type { PodDisruptionBudget } from '../types.js';
import { selector } from './templates.js';
import { createDeployment, deploymentHas } from './deployments.js';

export const service: Scenario = {
  name: 'service-endpoints',
  about: 'Endpoints follow the readiness of pods, and their end.',
  marks: ['endpoints'],
  steps: [
    {
      title: 'a deployment of 2 that is ready',
      act: async (stage) => {
        await createDeployment(stage, { replicas: 2 }, { gated: true });
        await until('two pods run', () => stage.pods().filter((pod) => pod.status?.podIP).length === 2);
        for (const role of ['p1', 'p2']) await stage.openGate(role, 'True');
      },
      until: deploymentHas(2),
    },
    {
      title: 'a Service',
      act: (stage) =>
        stage.clients.services.create(
          {
            metadata: { name: 'web', labels: { tier: 'front' } },
            spec: { selector: { app: 'web' }, ports: [{ name: 'http', port: 80, targetPort: 8080 }] },
          } as never,
          stage.namespace,
        ),
      until: (stage) => readyEndpoints(stage) === 2,
    },
    {
      title: 'a pod becomes unready',
      act: (stage) => stage.openGate('p1', 'False'),
      until: (stage) => readyEndpoints(stage) === 1,
    },
    {
      title: 'the pod is deleted',
      act: (stage) => stage.deletePod('p1'),
      until: (stage) =>
        stage.pods().length === 2 &&
        stage.pods().every((pod) => pod.status?.podIP && !pod.metadata.deletionTimestamp) &&
        allEndpoints(stage) === 2 &&
        stage.field('Deployment', 'web', 'status', 'unavailableReplicas') === 1,
    },
    {
      title: 'the Service is deleted',
      act: (stage) => stage.clients.services.delete('web', stage.namespace),
      until: (stage) =>
        stage.seen.list('EndpointSlice').length === 0 && stage.seen.list('Endpoints').length === 0,
    },
  ],
};

function endpoints(stage: Stage): { conditions?: { ready?: boolean; terminating?: boolean } }[] {
  return stage.seen.list('EndpointSlice').flatMap((slice) => (slice as { endpoints?: [] }).endpoints ?? []);
}
const readyEndpoints = (stage: Stage): number =>
  endpoints(stage).filter(({ conditions }) => conditions?.ready).length;
const allEndpoints = (stage: Stage): number =>
  endpoints(stage).filter(({ conditions }) => !conditions?.terminating).length;

export const disruption: Scenario = {
  name: 'disruption-budget',
  about: 'A budget counts healthy pods and lets as many be evicted as it can spare.',
  marks: [],
  steps: [
    {
      title: 'a deployment of 3 with a budget of 2',
      act: async (stage) => {
        await createDeployment(stage, { replicas: 3 }, { gated: true });
        await until('three pods run', () => stage.pods().filter((pod) => pod.status?.podIP).length === 3);
        for (const role of ['p1', 'p2', 'p3']) await stage.openGate(role, 'True');
        await stage.clients.budgets.create(
          { metadata: { name: 'web' }, spec: { minAvailable: 2, selector } } as never,
          stage.namespace,
        );
      },
      until: (stage) =>
        deploymentHas(3)(stage) &&
        stage.seen.get<PodDisruptionBudget>('PodDisruptionBudget', 'web')?.status?.disruptionsAllowed === 1,
    },
    {
      title: 'one pod is evicted, a second is not',
      act: async (stage) => {
        await evict(stage, 'p1');
        await until('the second is refused', () =>
          evict(stage, 'p2').then(
            () => Promise.reject(new Error('a second pod was evicted')),
            (error: { code?: number }) => error.code === 429,
          ),
        );
      },
      until: (stage) =>
        stage.pods().length === 3 &&
        stage.pods().every((pod) => pod.status?.podIP && !pod.metadata.deletionTimestamp) &&
        stage.field('Deployment', 'web', 'status', 'unavailableReplicas') === 1,
    },
    {
      title: 'its replacement is ready',
      act: (stage) => stage.openGate('p4', 'True'),
      until: (stage) =>
        deploymentHas(3)(stage) &&
        stage.field('PodDisruptionBudget', 'web', 'status', 'disruptionsAllowed') === 1,
    },
  ],
};

function evict(stage: Stage, role: string): Promise<unknown> {
  const { name } = stage.pod(role).metadata;
  return stage.client.json('POST', stage.clients.pods.path(stage.namespace, name, 'eviction'), {
    body: { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name, namespace: stage.namespace } },
  });
}
