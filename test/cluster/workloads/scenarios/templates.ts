/** What the pods of the scenarios are made of, and what several scenarios wait for. */
import { gate, type Stage } from '../play.js';

/** What a pod of a scenario does; the stand-in for kubelets in the test reads it. */
export type Behaviour = 'runs' | 'succeeds' | 'fails';
export const behaviourLabel = 'example.com/behaviour';

const commands: Record<Behaviour, string> = {
  runs: 'exec sleep 100000',
  succeeds: 'sleep 1',
  fails: 'sleep 1; exit 3',
};

export interface PodOptions {
  behaviour?: Behaviour;
  version?: string;
  gated?: boolean;
  labels?: Record<string, string>;
  restartPolicy?: string;
}

export function podTemplate(options: PodOptions = {}) {
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

export const selector = { matchLabels: { app: 'web' } };

export const setVersion = (version: string) => ({
  spec: {
    template: {
      spec: { containers: [{ name: 'main', env: [{ name: 'VERSION', value: version }] }] },
    },
  },
});

export const nothingLeft = (stage: Stage): boolean =>
  ['Deployment', 'ReplicaSet', 'StatefulSet', 'DaemonSet', 'Job', 'Pod'].every(
    (kind) => stage.seen.list(kind).length === 0,
  );
