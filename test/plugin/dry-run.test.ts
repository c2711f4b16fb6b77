import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { parse } from 'yaml';
import type { PodMigration } from '../../common/api/schema.js';
import { buildPlugins, kubectl, missing, type Plugins } from './programs.js';
import { addNode, addPod, simulateController, startWorld, type Play, type World } from './world.js';

type Checks = NonNullable<NonNullable<PodMigration['status']>['checks']>;

const PASSED: Checks = [
  { name: 'Pod', status: 'Pass', message: 'Pod counter runs on node k8s-worker.' },
  { name: 'Connections', status: 'Warn', message: 'In the pod one TCP connection is open (simulated).' },
];
const FAILED: Checks = [
  {
    name: 'Volumes',
    status: 'Fail',
    reason: 'PodNotSupported',
    message: 'Volume data is a folder of the node (simulated).',
    hint: 'Use an emptyDir.',
  },
];

/** What the controller answers when it only looks. */
const answer = ({ spec }: PodMigration): Play => {
  assert.equal(spec.preflightOnly, true, 'nothing was to be moved in these tests');
  assert.equal(spec.cancel, true, 'whoever does not know the first moves nothing either');
  // What a controller makes of it that knows only the second.
  if (spec.podName === 'with-older') return [{ status: { phase: 'Failed', reason: 'Canceled' } }];
  const fit = spec.podName !== 'unfit' || spec.allowHostPath === true;
  return [
    {
      status: fit
        ? { phase: 'Succeeded', checks: PASSED, message: 'Pod can be migrated (simulated).' }
        : {
            phase: 'Failed',
            reason: 'PodNotSupported',
            checks: [PASSED[0]!, ...FAILED],
            message: FAILED[0]!.message,
          },
    },
  ];
};

describe('kubectl migrate --dry-run', { skip: await missing('kubectl') }, () => {
  let plugins: Plugins;
  let world: World;
  let stop: () => void = () => {};
  const seen: PodMigration[] = [];
  before(async () => {
    [plugins, world] = await Promise.all([buildPlugins(), startWorld()]);
    for (const node of ['k8s-master', 'k8s-worker']) await addNode(world.client, node);
    for (const pod of ['counter', 'unfit']) await addPod(world.client, pod);
    stop = simulateController(world.client, (migration) => {
      seen.push(migration);
      return answer(migration);
    });
  });
  after(async () => {
    stop();
    await plugins.remove();
    await world.close();
  });
  const call = (...args: string[]) =>
    kubectl(['migrate', ...args], { links: plugins.links, kubeconfig: world.kubeconfig });
  const assertNothingLeft = async () =>
    assert.deepEqual((await world.client.podMigrations.list()).items, [], 'no migration is left');

  test('=client prints the object that would be created, and asks nobody', async () => {
    const { code, stdout, stderr } = await call(
      ...['counter', '--to', 'k8s-master', '--allow-host-path', '--dry-run=client', '-oyaml'],
    );
    assert.equal(code, 0, stderr);
    const { spec, metadata } = parse(stdout) as PodMigration;
    assert.deepEqual(spec, {
      podName: 'counter',
      targetNode: 'k8s-master',
      tcp: 'Close',
      allowHostPath: true,
      timeoutSeconds: 600,
    });
    assert.equal(metadata.namespace, 'default');
    const said = await call('counter', '--dry-run', 'client');
    assert.match(said.stdout, /^podmigration\.lpm\.my\.domain\/counter-\w{5} created \(dry run\)\n$/);
    assert.deepEqual(seen, []);
    await assertNothingLeft();
  });

  test('what passes is shown as a table, exit code 0, and nothing is left of the question', async () => {
    const { code, stdout, stderr } = await call('counter', '--to', 'k8s-master', '--dry-run');
    assert.equal(code, 0, stderr);
    assert.equal(
      stdout,
      [
        'CHECK         RESULT   FOUND',
        'Pod           Pass     Pod counter runs on node k8s-worker.',
        'Connections   Warn     In the pod one TCP connection is open (simulated).',
        '',
      ].join('\n'),
    );
    assert.match(stderr, /^Pod can be migrated \(simulated\)\.\nNot tried: /);
    await assertNothingLeft();
  });

  test('what fails says what to do, exit code 1; the cause may be taken away', async () => {
    const { code, stdout, stderr } = await call('unfit', '--dry-run=server', '--color=always');
    assert.equal(code, 1, stderr);
    assert.match(
      stdout,
      /\nVolumes +\u001b\[31mFail\u001b\[39m +Volume data is a folder.*\n +Next: Use an emptyDir\.\n$/,
    );
    assert.match(
      stderr,
      /error: The migration of pod default\/unfit would be refused: one check fails\. Nothing was changed\./,
    );
    const allowed = await call('unfit', '--dry-run=server', '--allow-host-path', '-o', 'name');
    assert.equal(allowed.code, 0, allowed.stderr);
    assert.match(allowed.stdout, /^podmigration\.lpm\.my\.domain\/unfit-\w{5}\n$/);
    const format = 'jsonpath={range .status.checks[?(@.status=="Fail")]}{.name}: {.hint}{end}';
    assert.equal((await call('unfit', '--dry-run', '-o', format)).stdout, 'Volumes: Use an emptyDir.');
    await assertNothingLeft();
  });

  test('several pods and a whole node are looked at, each for itself', async () => {
    const several = await call('pod', 'counter', 'unfit', '--dry-run', '-o', 'json');
    assert.equal(several.code, 1);
    const { pods } = JSON.parse(several.stdout) as { pods: { pod: string; outcome: string }[] };
    assert.deepEqual(
      pods.map(({ pod, outcome }) => `${pod} ${outcome}`),
      ['counter Movable', 'unfit Left'],
    );
    const drained = await call('drain', 'k8s-worker', '--dry-run');
    assert.equal(drained.code, 0, drained.stderr);
    assert.match(drained.stdout, /^unfit +default +Left +Volume data is a folder of the node/m);
    assert.equal((await world.client.nodes.get('k8s-worker')).spec?.unschedulable, undefined);
    await assertNothingLeft();
  });

  test('--force is asked of the controller, and not without it', async () => {
    const specOf = async (...flags: string[]) => {
      const { stdout } = await call('counter', '--dry-run=client', '-o', 'json', ...flags);
      return (JSON.parse(stdout) as PodMigration).spec;
    };
    assert.equal((await specOf('--force')).force, true);
    assert.equal((await specOf()).force, undefined);
    seen.length = 0;
    for (const command of [['counter'], ['pod', 'counter', 'unfit']]) {
      await call(...command, '--dry-run', '--force');
    }
    assert.deepEqual(
      seen.map(({ spec }) => spec.force),
      [true, true, true],
    );
  });

  test('a controller that is older than the API has moved nothing, and is told by what it answers', async () => {
    await addPod(world.client, 'with-older');
    const { code, stderr } = await call('with-older', '--dry-run');
    assert.equal(code, 1);
    assert.match(stderr, /The controller that acts in this cluster is older .*; nothing was moved\./);
    assert.match(stderr, /kubectl migrate install/);
    await assertNothingLeft();
  });

  test('a cluster whose API is older is told from one that can only look', async () => {
    const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/podmigrations.lpm.my.domain';
    const property = '/spec/versions/0/schema/openAPIV3Schema/properties/spec';
    await world.client.json('PATCH', path, {
      contentType: 'application/json-patch+json',
      body: [
        { op: 'remove', path: `${property}/properties/preflightOnly` },
        { op: 'remove', path: `${property}/x-kubernetes-validations` },
      ],
    });
    seen.length = 0;
    const { code, stderr } = await call('counter', '--dry-run');
    assert.equal(code, 1);
    assert.match(stderr, /is older and cannot look without moving the pod; nothing was moved\./);
    assert.deepEqual(seen, [], 'nothing was created');
  });
});
