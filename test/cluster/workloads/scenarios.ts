/** The scenarios that were recorded on a real cluster and are played against the local one. */
import type { Pod } from '../../../common/kube/types.js';
import { until } from '../../support/until.js';
import { gate, type Scenario, type Stage, type Step } from './play.js';
import type { Job, PodDisruptionBudget } from './types.js';

/** What a pod of a scenario does; the stand-in for kubelets in the test reads it. */
export type Behaviour = 'runs' | 'succeeds' | 'fails';
export const behaviourLabel = 'example.com/behaviour';

const commands: Record<Behaviour, string> = {
  runs: 'exec sleep 100000',
  succeeds: 'sleep 1',
  fails: 'sleep 1; exit 3',
};

interface PodOptions {
  behaviour?: Behaviour;
  version?: string;
  gated?: boolean;
  labels?: Record<string, string>;
  restartPolicy?: string;
}

function podTemplate(options: PodOptions = {}) {
  const { behaviour = 'runs', version = '1', gated = false, labels = {} } = options;
  return {
    metadata: { labels: { app: 'web', [behaviourLabel]: behaviour, ...labels } },
    spec: {
      terminationGracePeriodSeconds: 1,
      ...(options.restartPolicy ? { restartPolicy: options.restartPolicy } : {}),
      ...(gated ? { readinessGates: [{ conditionType: gate }] } : {}),
      containers: [
        {
          name: 'main',
          image: 'docker.io/library/busybox:1.35',
          imagePullPolicy: 'IfNotPresent',
          command: ['/bin/sh', '-c', commands[behaviour]],
          env: [{ name: 'VERSION', value: version }],
        },
      ],
    },
  };
}

const selector = { matchLabels: { app: 'web' } };

const setVersion = (version: string) => ({
  spec: {
    template: {
      spec: { containers: [{ name: 'main', env: [{ name: 'VERSION', value: version }] }] },
    },
  },
});

const createDeployment = (stage: Stage, spec: object, template: PodOptions = {}): Promise<unknown> =>
  stage.clients.deployments.create(
    { metadata: { name: 'web' }, spec: { selector, template: podTemplate(template), ...spec } } as never,
    stage.namespace,
  );
const patchDeployment = (stage: Stage, patch: object): Promise<unknown> =>
  stage.clients.deployments.patch('web', stage.namespace, patch, { type: 'strategic' });
const scaleDeployment = (stage: Stage, replicas: number): Promise<unknown> =>
  patchDeployment(stage, { spec: { replicas } });

/** All replicas of the deployment are there, new and available, and nothing else is. */
function deploymentHas(replicas: number) {
  return (stage: Stage): boolean =>
    stage.isObserved('Deployment', 'web') &&
    Number(stage.field('Deployment', 'web', 'status', 'updatedReplicas') ?? 0) === replicas &&
    Number(stage.field('Deployment', 'web', 'status', 'availableReplicas') ?? 0) === replicas &&
    Number(stage.field('Deployment', 'web', 'status', 'replicas') ?? 0) === replicas &&
    stage.readyPods().length >= replicas &&
    stage.pods().every((pod) => !pod.metadata.deletionTimestamp);
}

const nothingLeft = (stage: Stage): boolean =>
  ['Deployment', 'ReplicaSet', 'StatefulSet', 'DaemonSet', 'Job', 'Pod'].every(
    (kind) => stage.seen.list(kind).length === 0,
  );

const deleteDeployment: Step = {
  title: 'the deployment is deleted',
  act: (stage) =>
    stage.clients.deployments.delete('web', stage.namespace, { propagationPolicy: 'Background' }),
  until: nothingLeft,
};

const cheap = { metadata: { annotations: { 'controller.kubernetes.io/pod-deletion-cost': '-10' } } };

const scaling: Scenario = {
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

const rollout: Scenario = {
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

const recreate: Scenario = {
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

const deadline: Scenario = {
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

const ownership: Scenario = {
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

const ordered: Scenario = {
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

const parallel: Scenario = {
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

const createJob = (stage: Stage, spec: object, template: PodOptions): Promise<unknown> =>
  stage.clients.jobs.create(
    {
      metadata: { name: 'work' },
      spec: { ...spec, template: podTemplate({ restartPolicy: 'Never', ...template }) },
    } as never,
    stage.namespace,
  );

const jobIs = (condition: string) => (stage: Stage) => stage.condition('Job', 'work', condition) === 'True';

const completions: Scenario = {
  name: 'job-completions',
  about: 'Three completions, two at a time.',
  marks: [],
  steps: [
    {
      title: 'a Job of 3, 2 at a time',
      act: (stage) => createJob(stage, { completions: 3, parallelism: 2 }, { behaviour: 'succeeds' }),
      until: jobIs('Complete'),
    },
    {
      title: 'deleted',
      act: (stage) => stage.clients.jobs.delete('work', stage.namespace, { propagationPolicy: 'Background' }),
      until: nothingLeft,
    },
  ],
};

const indexed: Scenario = {
  name: 'job-indexed',
  about: 'An Indexed Job: every index has its pod.',
  marks: [],
  steps: [
    {
      title: 'an Indexed Job of 2',
      act: (stage) =>
        createJob(
          stage,
          { completions: 2, parallelism: 2, completionMode: 'Indexed' },
          { behaviour: 'succeeds' },
        ),
      until: jobIs('Complete'),
    },
  ],
};

const failing: Scenario = {
  name: 'job-failing',
  about: 'A Job whose pods fail is given up after its backoffLimit.',
  marks: ['finished'],
  steps: [
    {
      title: 'a Job that fails, backoffLimit 1',
      act: (stage) => createJob(stage, { backoffLimit: 1 }, { behaviour: 'fails' }),
      until: jobIs('Failed'),
    },
  ],
};

const jobPodDeleted: Scenario = {
  name: 'job-pod-deleted',
  about: 'A Job’s pod that is deleted while it runs is replaced once it is gone; suspended, it has none.',
  marks: [],
  steps: [
    {
      title: 'a Job that runs',
      act: (stage) => createJob(stage, {}, { behaviour: 'runs' }),
      until: (stage) => stage.field('Job', 'work', 'status', 'ready') === 1,
    },
    {
      title: 'its pod is deleted',
      act: (stage) => stage.deletePod('p1'),
      until: (stage) =>
        stage.pods().length === 1 &&
        stage.readyPods().length === 1 &&
        stage.field('Job', 'work', 'status', 'failed') === 1 &&
        stage.field('Job', 'work', 'status', 'ready') === 1 &&
        uncountedIsEmpty(stage),
    },
    {
      title: 'suspended',
      act: (stage) => stage.clients.jobs.patch('work', stage.namespace, { spec: { suspend: true } }),
      until: (stage) => stage.pods().length === 0 && jobIs('Suspended')(stage),
    },
    {
      title: 'resumed',
      act: (stage) => stage.clients.jobs.patch('work', stage.namespace, { spec: { suspend: false } }),
      until: (stage) => stage.readyPods().length === 1 && stage.field('Job', 'work', 'status', 'ready') === 1,
    },
  ],
};

function uncountedIsEmpty(stage: Stage): boolean {
  const uncounted = stage.seen.get<Job>('Job', 'work')?.status?.uncountedTerminatedPods;
  return !uncounted?.failed?.length && !uncounted?.succeeded?.length;
}

const service: Scenario = {
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

const disruption: Scenario = {
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

const daemons: Scenario = {
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

export const scenarios: Scenario[] = [
  scaling,
  rollout,
  recreate,
  deadline,
  ownership,
  ordered,
  parallel,
  completions,
  indexed,
  failing,
  jobPodDeleted,
  service,
  disruption,
  daemons,
];
