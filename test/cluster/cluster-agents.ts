/** The agents of a cluster as tests kill, stop and start them: processes of the nodes, or pods of the DaemonSet. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SYSTEM_NAMESPACE } from '../../common/api/names.js';
import type { Cluster } from './cluster.js';
import type { NodeHandle } from './node/handle.js';

export interface Agents {
  /** As a crash: it is started again at once by who keeps it (the node's supervisor, or the kubelet). */
  kill(node: string): Promise<void>;
  /** None runs on that node until `start`. */
  stop(node: string): Promise<void>;
  start(node: string): Promise<void>;
  /** What it has written to its log since it was started. */
  log(node: string): Promise<string>;
}

export function agentsAsProcesses(nodeOf: (name: string) => NodeHandle): Agents {
  return {
    kill: (node) => nodeOf(node).restartService('agent', { signal: 'KILL' }),
    stop: (node) => nodeOf(node).restartService('agent', { down: true }),
    start: async (node) => {
      await nodeOf(node).exec(['rm', '-f', '/run/lpm-node/agent.down']);
    },
    log: (node) => readFile(join(nodeOf(node).logDir, 'agent.log'), 'utf8'),
  };
}

interface AgentPods {
  items: {
    metadata: { name: string };
    spec: { nodeName?: string };
    status?: { containerStatuses?: { containerID?: string; state?: { running?: object } }[] };
  }[];
}

const daemonSet = 'daemonset/lpm-live-pod-migration-controller-checkpoint-agent';

export function agentsAsPods(kubectl: Cluster['kubectl'], nodeOf: (name: string) => NodeHandle): Agents {
  const must = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await kubectl(['-n', SYSTEM_NAMESPACE, ...args]);
    if (code !== 0) throw new Error(`kubectl ${args.join(' ')} failed: ${stderr.trim()}`);
    return stdout;
  };
  const podsOn = async (node: string): Promise<AgentPods['items']> => {
    const list = await must('get', 'pods', '-l', 'app=checkpoint-agent', '-o', 'json');
    return (JSON.parse(list) as AgentPods).items.filter(({ spec }) => spec.nodeName === node);
  };
  const patch = (spec: object): Promise<string> =>
    must('patch', daemonSet, '--type=merge', '-p', JSON.stringify({ spec }));
  return {
    kill: async (node) => {
      for (const { metadata, status } of await podsOn(node)) {
        const container = status?.containerStatuses?.find(({ state }) => state?.running);
        const id = container?.containerID?.split('//')[1];
        if (!id) throw new Error(`The container of pod ${metadata.name} does not run.`);
        const killed = await nodeOf(node).exec([
          ...['runc', '--root', '/run/containerd/runc/k8s.io', 'kill', id, 'KILL'],
        ]);
        if (killed.code !== 0) throw new Error(killed.stderr.trim());
      }
    },
    // The pods of the other nodes stay as they are: OnDelete replaces none because the template is another.
    stop: async (node) => {
      const elsewhere = [{ key: 'kubernetes.io/hostname', operator: 'NotIn', values: [node] }];
      const nodeAffinity = {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [{ matchExpressions: elsewhere }],
        },
      };
      await patch({
        updateStrategy: { type: 'OnDelete', rollingUpdate: null },
        template: { spec: { affinity: { nodeAffinity } } },
      });
      await must(
        'wait',
        '--for=delete',
        'pods',
        '-l',
        'app=checkpoint-agent',
        `--field-selector=spec.nodeName=${node}`,
        '--timeout=90s',
      );
    },
    start: async () => {
      await patch({
        updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 1 } },
        template: { spec: { affinity: null } },
      });
    },
    log: async (node) => {
      const [pod] = await podsOn(node);
      return pod ? must('logs', pod.metadata.name) : '';
    },
  };
}
