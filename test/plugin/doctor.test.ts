import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { SYSTEM_NAMESPACE } from '../../common/api/names.js';
import { bundledManifests } from '../../plugin/install/bundled.js';
import { buildPlugins, kubectl, missing, type Plugins } from './programs.js';
import { addNode, startWorld, type World } from './world.js';

interface Found {
  findings: { check: string; node?: string; status: string; message: string; commands: string[] }[];
  summary: Record<string, number>;
}

describe('kubectl migrate doctor', { skip: await missing('kubectl') }, () => {
  let plugins: Plugins;
  let world: World;
  before(async () => {
    [plugins, world] = await Promise.all([buildPlugins(), startWorld({ crds: false })]);
    for (const node of ['k8s-master', 'k8s-worker']) {
      await addNode(world.client, node);
      const labels = { 'kubernetes.io/os': 'linux' };
      await world.client.nodes.patch(node, undefined, { metadata: { labels } });
    }
  });
  after(async () => {
    await plugins.remove();
    await world.close();
  });
  const doctor = (...args: string[]) =>
    kubectl(['migrate', 'doctor', ...args], { links: plugins.links, kubeconfig: world.kubeconfig });
  const found = async (...args: string[]): Promise<Found> =>
    JSON.parse((await doctor('-o', 'json', ...args)).stdout) as Found;

  /** As the kubelet would write it. */
  const addAgent = async (node: string, status: Record<string, unknown>): Promise<void> => {
    const name = `agent-${node}`;
    const metadata = { name, namespace: SYSTEM_NAMESPACE, labels: { app: 'checkpoint-agent' } };
    const spec = {
      nodeName: node,
      containers: [{ name: 'agent', image: 'localhost/checkpoint-agent:latest' }],
    };
    await world.client.pods.create({ metadata, spec }, SYSTEM_NAMESPACE);
    await world.client.pods.patchStatus(name, SYSTEM_NAMESPACE, status);
  };

  test('says of a cluster without the project that it is to be installed, and fails', async () => {
    const { code, stdout, stderr } = await doctor();
    assert.equal(code, 1, stderr);
    const lines = stdout.split('\n');
    assert.match(lines[0]!, /^CHECK +NODE +STATUS +FOUND$/);
    assert.match(stdout, /^api-server +<cluster> +ok +v1\.\S+ at https:\S+$/m);
    assert.match(
      stdout,
      /^crds +<cluster> +fail\n {4}None of the CRDs is installed\.\n {4}\$ kubectl migrate install$/m,
    );
    assert.match(stdout, /^node-setup +k8s-worker +unknown$/m);
    assert.match(stderr, /^5 of \d+ checks failed, \d+ could not be made\.\n$/);
  });

  test('says which node’s agent is missing and why, and of that node alone if it is named', async () => {
    for (const object of (await bundledManifests()).objects) {
      const plural = `${object.kind.toLowerCase()}${object.kind.endsWith('s') ? 'es' : 's'}`;
      const { namespace, name } = object.metadata;
      const place = namespace ? `/namespaces/${namespace}` : '';
      const root = object.apiVersion === 'v1' ? '/api/v1' : `/apis/${object.apiVersion}`;
      await world.client.json('PATCH', `${root}${place}/${plural.replace('policys', 'policies')}/${name}`, {
        query: { fieldManager: 'test' },
        body: object,
        contentType: 'application/apply-patch+yaml',
      });
    }
    await addAgent('k8s-master', { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] });
    const image = 'localhost/checkpoint-agent:latest';
    const state = { waiting: { reason: 'ErrImageNeverPull', message: 'not present' } };
    await addAgent('k8s-worker', {
      phase: 'Pending',
      conditions: [
        { type: 'PodScheduled', status: 'True' },
        { type: 'Ready', status: 'False' },
      ],
      containerStatuses: [{ name: 'agent', image, imageID: '', ready: false, restartCount: 0, state }],
    });
    const all = await found();
    const of = (check: string, node?: string) =>
      all.findings.find((one) => one.check === check && (node === undefined || one.node === node));
    for (const check of ['crds', 'namespace', 'runtime-class', 'rights-migrate', 'migrations', 'frozen']) {
      assert.equal(of(check)?.status, 'ok', JSON.stringify(of(check)));
    }
    assert.equal(of('controller')?.status, 'fail');
    assert.match(of('leader')?.message ?? '', /No replica of the controller leads/);
    // Ready, but what it says of itself cannot be asked here: there is no kubelet.
    assert.equal(of('agent', 'k8s-master')?.status, 'unknown');
    const worker = of('agent', 'k8s-worker');
    assert.equal(worker?.status, 'fail');
    assert.match(worker?.message ?? '', /localhost\/checkpoint-agent:latest is not on node k8s-worker/);
    assert.equal(all.summary['fail'], all.findings.filter(({ status }) => status === 'fail').length);

    const nodes = (await found('--node', 'k8s-master')).findings.flatMap(({ node }) => node ?? []);
    assert.deepEqual([...new Set(nodes)], ['k8s-master']);
    const wrong = await doctor('--node', 'k8s-mastre');
    assert.equal(wrong.code, 1);
    assert.match(
      wrong.stderr,
      /There is no node "k8s-mastre" in this cluster\.\nDid you mean "k8s-master"\?/,
    );
    assert.equal((await doctor('k8s-master')).code, 2);
  });

  test('says of a cluster that cannot be reached just that', async () => {
    const { code, stdout } = await doctor('--server', 'https://127.0.0.1:1');
    assert.equal(code, 1);
    assert.match(
      stdout,
      /^api-server +<cluster> +fail\n {4}Cannot reach the cluster at https:\/\/127\.0\.0\.1:1/m,
    );
  });

  test('says of what may not be looked at that it is unknown, and what right is missing', async () => {
    const server = createServer((request, response) => {
      const send = (code: number, body: object) =>
        response.writeHead(code, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
      if (request.url === '/version') return send(200, { gitVersion: 'v1.36.2' });
      if (request.url?.includes('selfsubjectaccessreviews')) return send(201, { status: { allowed: false } });
      return send(403, { kind: 'Status', code: 403, reason: 'Forbidden', message: 'no' });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const { findings } = await found('--server', url, '-n', 'shop');
      const told = (check: string) => findings.find((one) => one.check === check);
      assert.equal(told('namespace')?.status, 'unknown');
      assert.equal(told('namespace')?.message, `You may not get namespaces "${SYSTEM_NAMESPACE}".`);
      assert.equal(
        told('controller')?.message,
        `You may not get deployments.apps in namespace ${SYSTEM_NAMESPACE}.`,
      );
      assert.equal(told('nodes')?.message, 'You may not list nodes.');
      assert.equal(told('rights-migrate')?.status, 'fail');
      assert.match(
        told('rights-migrate')?.message ?? '',
        /^You may not create, get, list, watch podmigrations\.lpm\.my\.domain and get pods in namespace shop/,
      );
      assert.deepEqual(
        findings.filter(({ status }) => status === 'ok').map(({ check }) => check),
        ['api-server'],
      );
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});
