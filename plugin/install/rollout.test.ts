import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import type { Lease } from '../../common/kube/types.js';
import { healthy, node, pod, waiting } from '../doctor/healthy.testing.js';
import type { DaemonSet, Deployment } from '../doctor/objects.js';
import { CONTROLLER, rollout, type Seen } from './rollout.js';

describe('an installation', () => {
  let done: Seen;
  beforeEach(async () => {
    const { deployment, daemonSet, nodes, controllers, lease } = (await healthy()) as unknown as {
      deployment: { seen: Deployment };
      daemonSet: { seen: DaemonSet };
      lease: { seen: Lease };
      nodes: { seen: Seen['nodes'] };
      controllers: { seen: Seen['controllers'] };
    };
    const template = daemonSet.seen.spec!.template.spec!.containers;
    done = {
      deployment: {
        ...deployment.seen,
        metadata: { ...deployment.seen.metadata, generation: 3 },
        status: { observedGeneration: 3, replicas: 2, updatedReplicas: 2, availableReplicas: 2 },
      },
      daemonSet: {
        ...daemonSet.seen,
        metadata: { ...daemonSet.seen.metadata, generation: 2 },
        status: {
          observedGeneration: 2,
          updatedNumberScheduled: 2,
          numberReady: 2,
          currentNumberScheduled: 2,
          desiredNumberScheduled: 2,
          numberMisscheduled: 0,
        },
      },
      lease: lease.seen,
      nodes: nodes.seen,
      controllers: controllers.seen,
      agents: nodes.seen.map(({ metadata: { name } }) => {
        const agent = pod(`agent-${name}`, name);
        return { ...agent, spec: { ...agent.spec!, containers: structuredClone(template) } };
      }),
    };
  });
  const told = (seen: Seen, key: string) => rollout(seen).parts.find((part) => part.key === key)!;

  test('is done when the controller and the agent of every node are ready', () => {
    assert.equal(rollout(done).done, true, JSON.stringify(rollout(done)));
    assert.deepEqual(
      rollout(done).parts.map(({ key, ready }) => `${key} ${ready}`),
      ['controller true', 'k8s-master true', 'k8s-worker true'],
    );
  });

  test('is not done while a node has no agent, or one that does not come up: which and why is said', () => {
    const [first, second] = done.agents;
    const without = { ...done, agents: [first!] };
    assert.equal(rollout(without).done, false);
    assert.equal(told(without, 'k8s-worker').text, 'no agent yet');
    const failing = { ...second!, status: { ...second!.status, ...waiting('ErrImageNeverPull') } };
    assert.match(
      told({ ...done, agents: [first!, failing] }, 'k8s-worker').text,
      /^The image \S+ is not on node k8s-worker/,
    );
  });

  test('is not done while an agent is of the version before', () => {
    const [first, second] = structuredClone(done.agents) as [Seen['agents'][number], Seen['agents'][number]];
    second.spec!.containers[0]!.image = 'localhost/checkpoint-agent:before';
    const seen = { ...done, agents: [first, second] };
    assert.equal(told(seen, 'k8s-worker').text, 'its agent will be replaced');
    assert.equal(rollout(seen).done, false);
  });

  test('is not done before the controllers of it have seen what was applied', () => {
    const deployment = { ...done.deployment!, metadata: { ...done.deployment!.metadata, generation: 4 } };
    assert.equal(rollout({ ...done, deployment }).done, false);
    const daemonSet = { ...done.daemonSet!, metadata: { ...done.daemonSet!.metadata, generation: 3 } };
    assert.equal(rollout({ ...done, daemonSet }).done, false);
  });

  test('is not done before one replica leads', () => {
    assert.match(told({ ...done, lease: undefined }, CONTROLLER).text, /none leads yet/);
  });

  test('is not done before the nodes are set up, and says what is missing', () => {
    const unready = node('k8s-worker', {
      labels: { 'kubernetes.io/os': 'linux', 'lpm.my.domain/ready': 'false' },
      annotations: { 'lpm.my.domain/problem': 'It waits.' },
    });
    const seen = { ...done, nodes: [done.nodes[0]!, unready] };
    assert.equal(told(seen, 'k8s-worker').text, 'agent ready, the node is not yet set up: It waits.');
    assert.equal(rollout(seen).done, false);
  });

  test('does not wait for nodes that get no agent', () => {
    const windows = node('win');
    windows.metadata.labels = { 'kubernetes.io/os': 'windows' };
    const seen = { ...done, nodes: [...done.nodes, windows] };
    assert.equal(rollout(seen).done, true);
  });
});
