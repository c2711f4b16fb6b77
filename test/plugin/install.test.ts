import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { SYSTEM_NAMESPACE } from '../../common/api/names.js';
import type { KubeObject } from '../../common/kube/types.js';
import { installYaml } from '../../manifests/install.mjs';
import { buildPlugins, kubectl, missing, type Plugins } from './programs.js';
import { addNode, addPod, startWorld, type World } from './world.js';

const WORKLOADS = `/apis/apps/v1/namespaces/${SYSTEM_NAMESPACE}`;

describe('kubectl migrate install and uninstall', { skip: await missing('kubectl') }, () => {
  let plugins: Plugins;
  let world: World;
  /** What the API has before anything is installed. */
  let bare: string[];
  before(async () => {
    [plugins, world] = await Promise.all([buildPlugins(), startWorld({ crds: false })]);
    await addNode(world.client, 'k8s-worker');
    bare = await everything();
  });
  after(async () => {
    await plugins.remove();
    await world.close();
  });
  const surroundings = () => ({ links: plugins.links, kubeconfig: world.kubeconfig });
  const migrate = (...args: string[]) => kubectl(['migrate', ...args], surroundings());

  /** Every object of every kind, but for events. */
  async function everything(): Promise<string[]> {
    const must = async (...args: string[]) =>
      (await kubectl(args, surroundings())).stdout.split('\n').filter(Boolean);
    const kinds = (await must('api-resources', '--verbs=list', '-o', 'name')).filter(
      (kind) => !kind.startsWith('events'),
    );
    const columns = 'custom-columns=:kind,:metadata.namespace,:metadata.name';
    const objects = await must('get', kinds.join(','), '-A', '--no-headers', '-o', columns);
    return [...kinds, ...objects].map((line) => line.replace(/\s+/g, ' ')).sort();
  }

  test('a dry run on the client prints the manifests, without a cluster', async () => {
    const { code, stdout, stderr } = await kubectl(['migrate', 'install', '--dry-run=client', '-o', 'yaml'], {
      links: plugins.links,
    });
    assert.equal(code, 0, stderr);
    const read = (text: string) => parseAllDocuments(text).map((document) => document.toJS() as KubeObject);
    assert.deepEqual(read(stdout), read(await installYaml()));
  });

  test('what makes no sense is refused', async () => {
    const refused = async (args: string, said: RegExp) => {
      const { code, stderr } = await migrate(...args.split(' '));
      assert.equal(code, 2, stderr);
      assert.match(stderr, said);
    };
    await refused('install -o yaml', /-o shows what --dry-run would apply/);
    await refused('install -n elsewhere', /run in the namespace live-pod-\S+, and in no other/);
    await refused('install --component nfs-4', /--component cannot be "nfs-4"/);
    await refused('uninstall counter', /takes no name/);
  });

  test('a dry run on the server changes nothing', async () => {
    const { code, stderr } = await migrate('install', '--dry-run=server');
    assert.equal(code, 0, stderr);
    assert.match(stderr, /^namespace\/live-pod-migration-controller-system created \(server dry run\)$/m);
    assert.match(stderr, /note: \d+ objects of the namespace \S+ were not checked/);
    assert.deepEqual(await everything(), bare);
  });

  test('every object is made, and the second time nothing is changed', async () => {
    const first = await migrate('install', '--no-wait');
    assert.equal(first.code, 0, first.stderr);
    const made = first.stderr.match(/ created$/gm)?.length;
    assert.equal(made, parseAllDocuments(await installYaml()).length, first.stderr);
    const second = await migrate('install', '--no-wait');
    assert.equal(second.stderr.match(/ unchanged$/gm)?.length, made, second.stderr);
  });

  test('images and components are brought to what is asked for', async () => {
    const image = 'registry.example/agent:1';
    const { code, stderr } = await migrate(
      'install',
      '--no-wait',
      '--image-agent',
      image,
      '--component',
      'checkpoint-repo-claim',
    );
    assert.equal(code, 0, stderr);
    assert.match(stderr, /^daemonset\.apps\/\S+ configured$/m);
    assert.match(stderr, /^persistentvolumeclaim\/checkpoint-repo created$/m);
    interface DaemonSet extends KubeObject {
      spec: {
        template: {
          spec: { containers: { image: string }[]; volumes: { name: string; hostPath?: object }[] };
        };
      };
    }
    const name = 'lpm-live-pod-migration-controller-checkpoint-agent';
    const { spec } = await world.client.json<DaemonSet>('GET', `${WORKLOADS}/daemonsets/${name}`);
    assert.equal(spec.template.spec.containers[0]!.image, image);
    assert.equal(
      spec.template.spec.volumes.find((volume) => volume.name === 'checkpoint-repo')?.hostPath,
      undefined,
    );
  });

  test('a component for something that the cluster does not have is refused with what it needs', async () => {
    const { code, stderr } = await migrate('install', '--no-wait', '--component', 'pod-monitor');
    assert.equal(code, 1);
    assert.match(
      stderr,
      /does not know the kind PodMonitor \(monitoring\.coreos\.com\/v1\)\.\nIt is of the Prometheus operator/,
    );
  });

  test('what somebody else has set is changed only when it is forced', async () => {
    const path = `${WORKLOADS}/deployments/lpm-controller-manager`;
    const body = {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'lpm-controller-manager' },
      spec: { replicas: 3 },
    };
    const query = { fieldManager: 'gitops', force: true };
    await world.client.json('PATCH', path, { query, body, contentType: 'application/apply-patch+yaml' });
    const { code, stderr } = await migrate('install', '--no-wait');
    assert.equal(code, 1);
    assert.match(
      stderr,
      /deployment\.apps\/lpm-controller-manager has been changed by gitops: \.spec\.replicas/,
    );
    assert.match(stderr, /--force-conflicts/);
    const forced = await migrate('install', '--no-wait', '--force-conflicts');
    assert.equal(forced.code, 0, forced.stderr);
    assert.equal((await world.client.json<{ spec: { replicas: number } }>('GET', path)).spec.replicas, 2);
  });

  test('waiting ends with what doctor finds, or when the time is over', async () => {
    const { code, stdout, stderr } = await migrate('install', '--timeout', '1s');
    assert.equal(code, 124, stderr);
    assert.match(stderr, /k8s-worker: no agent yet|controller: 0 of 2 replicas available/);
    assert.match(stdout, /^controller +<cluster> +fail$/m);
  });

  test('uninstall is refused while migrations are under way and restored pods run, and where nobody can be asked', async () => {
    const migration = { metadata: { name: 'm1', namespace: 'default' }, spec: { podName: 'counter' } };
    await world.client.podMigrations.create(migration as never, 'default');
    const active = await migrate('uninstall', '--yes');
    assert.equal(active.code, 1);
    assert.match(active.stderr, /A migration is under way: default\/m1\./);
    await world.client.podMigrations.patchStatus('m1', 'default', { phase: 'Succeeded' });
    const spec = { runtimeClassName: 'lpm', containers: [{ name: 'app', image: 'busybox:1.35' }] };
    await world.client.pods.create({ metadata: { name: 'counter-restored' }, spec }, 'default');
    const needed = await migrate('uninstall', '--yes');
    assert.equal(needed.code, 1);
    assert.match(
      needed.stderr,
      /A restored pod still needs the runtime handler: default\/counter-restored\./,
    );
    await world.client.pods.delete('counter-restored', 'default', { gracePeriodSeconds: 0 });
    const unasked = await migrate('uninstall');
    assert.equal(unasked.code, 1);
    assert.match(unasked.stderr, /no terminal on which you could be asked; nothing was changed/);
    assert.ok(await world.client.podMigrations.find('m1', 'default'));
  });

  test('uninstall leaves the API as it was before', async () => {
    await addPod(world.client, 'counter');
    await world.client.podCheckpoints.create(
      { metadata: { name: 'c1', namespace: 'default' }, spec: { podName: 'counter' } } as never,
      'default',
    );
    await world.client.nodes.patch('k8s-worker', undefined, {
      metadata: { labels: { 'lpm.my.domain/ready': 'true', other: 'stays' } },
    });
    const { code, stdout, stderr } = await migrate('uninstall', '--yes');
    assert.equal(code, 0, stderr);
    assert.match(stderr, /^The record of 1 migration is deleted\.$/m);
    assert.match(stderr, /^customresourcedefinition\S+ deleted$/m);
    assert.match(stdout, /is taken away from this cluster/);
    await world.client.pods.delete('counter', 'default', { gracePeriodSeconds: 0 });
    assert.deepEqual(await everything(), bare);
    assert.deepEqual((await world.client.nodes.get('k8s-worker')).metadata.labels, { other: 'stays' });
    const again = await migrate('uninstall', '--yes');
    assert.equal(again.code, 0);
    assert.match(again.stdout, /There is nothing of live pod migration in this cluster/);
  });
});
