/** `kubectl migrate version` of clusters in different states. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { CONTROLLER_LEASE, CONTROLLER_VERSION_ANNOTATION, SYSTEM_NAMESPACE } from '../../common/api/names.js';
import { running } from '../../plugin/version/installed.js';
import { lines } from '../../plugin/version/run.js';
import { buildPlugins, kubectl, missing, type Plugins } from './programs.js';
import { addNamespace, startWorld, type World } from './world.js';

const digest = (letter: string) => `sha256:${letter.repeat(64)}`;

test('agents of different versions are told apart, each with its nodes', () => {
  const agent = (node: string, uid: string, ready = true) => ({
    metadata: { name: `agent-${node}`, uid },
    spec: { nodeName: node, containers: [{ name: 'agent', image: 'agent:latest' }] },
    status: { conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
  });
  const pods = [agent('n2', '2'), agent('n1', '1'), agent('n3', '3'), agent('n4', '4', false)];
  const versions = new Map([
    ['1', '0.1.0'],
    ['2', '0.1.0'],
    ['3', '0.2.0'],
  ]);
  const none = { running: [], unknown: 'no right' };
  assert.deepEqual(lines({ controller: none, agents: { running: running(pods, versions) } }), [
    'Controller Image: not known. no right',
    'Agent Image: agent:latest, version 0.1.0, 2 of 2 ready on n1, n2',
    'Agent Image: agent:latest, version 0.2.0, 1 of 1 ready on n3',
    'Agent Image: agent:latest, 0 of 1 ready on n4',
  ]);
});

describe('kubectl migrate version', { skip: await missing('kubectl') }, () => {
  let plugins: Plugins;
  let world: World;
  before(async () => {
    [plugins, world] = await Promise.all([buildPlugins(), startWorld({ crds: false })]);
  });
  after(async () => {
    await plugins.remove();
    await world.close();
  });
  const version = (...args: string[]) =>
    kubectl(['migrate', 'version', ...args], { links: plugins.links, kubeconfig: world.kubeconfig });

  /** As its kubelet writes it. */
  const addPod = async (name: string, label: [string, string], node: string, image: string, id: string) => {
    const { client } = world;
    await client.pods.create(
      {
        metadata: { name, namespace: SYSTEM_NAMESPACE, labels: { [label[0]]: label[1] } },
        spec: { nodeName: node, containers: [{ name: 'program', image }] },
      },
      SYSTEM_NAMESPACE,
    );
    await client.pods.patchStatus(name, SYSTEM_NAMESPACE, {
      phase: 'Running',
      conditions: [{ type: 'Ready', status: 'True' }],
      containerStatuses: [
        {
          name: 'program',
          image,
          imageID: `${image}@${id}`,
          ready: true,
          restartCount: 0,
          state: { running: {} },
        },
      ],
    });
  };

  test('of a cluster in which nothing is installed says where nothing runs', async () => {
    const { code, stdout, stderr } = await version();
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^Client Version: \d+\.\d+\.\d+\n/);
    assert.match(
      stdout,
      /\nController Image: not known\. It runs in no pod of live-pod-migration-controller-system\.\nAgent Image: not known\. It runs in no pod/,
    );
  });

  test('of a cluster in an upgrade: who acts, and which replicas and agents run what on which nodes', async () => {
    const { client } = world;
    await addNamespace(client, SYSTEM_NAMESPACE);
    await client.leases.create(
      {
        metadata: {
          name: CONTROLLER_LEASE,
          namespace: SYSTEM_NAMESPACE,
          annotations: { [CONTROLLER_VERSION_ANNOTATION]: '0.0.9' },
        },
        spec: { holderIdentity: 'controller-a' },
      },
      SYSTEM_NAMESPACE,
    );
    const controller: [string, string] = ['control-plane', 'controller-manager'];
    const agent: [string, string] = ['app', 'checkpoint-agent'];
    await addPod('controller-a', controller, 'k8s-master', 'r.example/controller:1', digest('a'));
    await addPod('controller-b', controller, 'k8s-worker', 'r.example/controller:2', digest('b'));
    await addPod('agent-m', agent, 'k8s-master', 'r.example/agent:2', digest('c'));
    await addPod('agent-w', agent, 'k8s-worker', 'r.example/agent:2', digest('c'));

    const { code, stdout, stderr } = await version();
    assert.equal(code, 0, stderr);
    assert.equal(stderr, '');
    assert.deepEqual(stdout.trim().split('\n').slice(1), [
      'Controller Version: 0.0.9',
      'Controller Image: r.example/controller:1 (sha256:aaaaaaaaaaaa), 1 of 1 ready on k8s-master',
      'Controller Image: r.example/controller:2 (sha256:bbbbbbbbbbbb), 1 of 1 ready on k8s-worker',
      'Agent Image: r.example/agent:2 (sha256:cccccccccccc), 2 of 2 ready',
    ]);
    const data = JSON.parse((await version('-o', 'json')).stdout) as {
      controller: { version: string; running: unknown[] };
      agents: { running: { nodes: string[] }[] };
    };
    assert.equal(data.controller.version, '0.0.9');
    assert.equal(data.controller.running.length, 2);
    assert.deepEqual(data.agents.running[0]?.nodes.sort(), ['k8s-master', 'k8s-worker']);
    const path = await version('-o', 'jsonpath={.controller.version}');
    assert.equal(path.stdout, '0.0.9');
  });

  test('without the right to look names what is missing, and is no failure', async () => {
    const server = createServer((request, response) => {
      const plural = request.url?.includes('/pods') ? 'pods' : 'leases';
      const message = `${plural} is forbidden: User "bob" cannot list resource "${plural}" in API group "" in the namespace "${SYSTEM_NAMESPACE}"`;
      response
        .writeHead(403, { 'Content-Type': 'application/json' })
        .end(JSON.stringify({ kind: 'Status', code: 403, reason: 'Forbidden', message }));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const { code, stdout } = await version('--server', url);
      assert.equal(code, 0);
      for (const part of ['Controller', 'Agent']) {
        const said = `^${part} Image: not known\\. Not allowed: .*cannot list resource "pods".*"${SYSTEM_NAMESPACE}"$`;
        assert.match(stdout, new RegExp(said, 'm'));
      }
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });

  test('of no cluster, and of one that does not answer, tells its own and why no more', async () => {
    const dead = await version('--server', 'https://127.0.0.1:1');
    assert.equal(dead.code, 0);
    assert.match(dead.stdout, /^Client Version: \d+\.\d+\.\d+\n$/);
    assert.match(
      dead.stderr,
      /^note: only this program's version is told: Cannot reach the cluster at https:\S+: /,
    );
    const own = await version('--client');
    assert.deepEqual([own.code, own.stderr], [0, '']);
    assert.match(own.stdout, /^Client Version: \d+\.\d+\.\d+\n$/);
  });

  test('takes no names', async () => {
    const { code, stderr } = await version('counter');
    assert.equal(code, 2);
    assert.match(stderr, /"version" takes no name: what is "counter"\?/);
  });
});
