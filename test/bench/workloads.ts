/** The processes whose pause is measured: the guide's counter, and ones that hold a known amount of memory. */
import type { Pod } from '../../common/kube/types.js';
import { countsIn } from '../support/counts.js';

export interface Workload {
  name: string;
  pod(podName: string, nodeName: string): Pod;
  /** File in /data that tells how the process gets on. */
  file: string;
  /** True when the process has come to its steady state. */
  ready(content: string): boolean;
  /** Undefined when nothing was lost and nothing done twice, else what is wrong. */
  problem(content: string): string | undefined;
}

function podOf(podName: string, nodeName: string, container: Record<string, unknown>): Pod {
  return {
    metadata: { name: podName, namespace: 'default' },
    spec: {
      nodeName,
      terminationGracePeriodSeconds: 1,
      containers: [{ name: 'main', volumeMounts: [{ name: 'data', mountPath: '/data' }], ...container }],
      volumes: [{ name: 'data', emptyDir: {} }],
    },
  } as Pod;
}

const gapIn = (numbers: number[]): string | undefined => {
  const wrong = numbers.findIndex((number, index) => number !== index + 1);
  return wrong === -1 ? undefined : `line ${wrong + 1} is ${numbers[wrong]}`;
};

export const counter: Workload = {
  name: 'counter',
  pod: (podName, nodeName) =>
    podOf(podName, nodeName, {
      image: 'busybox:1.35',
      command: [
        '/bin/sh',
        '-c',
        'COUNT=0; while true; do COUNT=$((COUNT + 1)); echo "$(date): Count=$COUNT" | tee -a /data/counter.log; sleep 0.1; done',
      ],
    }),
  file: 'counter.log',
  ready: (content) => countsIn(content).length >= 5,
  problem: (content) => gapIn(countsIn(content)),
};

export const memory = (megabytes: number): Workload => ({
  name: `${megabytes} MB`,
  pod: (podName, nodeName) =>
    podOf(podName, nodeName, {
      image: 'docker.io/lpm-test/memory:1',
      imagePullPolicy: 'IfNotPresent',
      args: [String(megabytes)],
    }),
  file: 'memory.log',
  ready: (content) => content.split('\n').length > 5,
  problem: (content) =>
    content.includes('CORRUPT')
      ? 'memory is not what it was'
      : gapIn([...content.matchAll(/^(\d+) uptime/gm)].map((match) => Number(match[1]))),
});
