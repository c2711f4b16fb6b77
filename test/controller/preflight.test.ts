/** spec.preflightOnly against an API server in memory and two simulated nodes: it tells, and leaves everything alone. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import type { PodMigration } from '../../common/api/schema.js';
import { CHECKS } from '../../controller/migration/facts.js';
import { Rig } from './rig.js';

let rig: Rig;
before(async () => {
  rig = await Rig.start();
});
after(() => rig.stop());
beforeEach(() => {
  for (const node of [rig.worker, rig.master]) {
    node.calls.length = 0;
    Object.assign(node.behaviour, { info: {}, facts: {} });
  }
});

type Check = NonNullable<NonNullable<PodMigration['status']>['checks']>[number];
const named = (checks: Check[] | undefined, name: string) => checks?.find((check) => check.name === name);

/** No pod but the source, no checkpoint, no finalizer, and no agent was asked to do anything. */
async function assertUntouched(pod: string, migration: string): Promise<void> {
  const pods = await rig.client.pods.list({ namespace: 'default' });
  assert.deepEqual(
    pods.items.map(({ metadata }) => metadata.name).filter((name) => name.startsWith(pod)),
    [pod],
  );
  assert.deepEqual((await rig.client.podCheckpoints.list({ namespace: 'default' })).items, []);
  assert.equal((await rig.migration(migration)).metadata.finalizers, undefined);
  assert.deepEqual([...rig.worker.calls, ...rig.master.calls], []);
}

test('a preflight tells of each check how it went, and nothing is made or frozen', async () => {
  const pod = await rig.runningPod('looked-at');
  rig.worker.behaviour.facts = { establishedTcpConnections: 2 };
  await rig.migrate('look', { podName: 'looked-at', preflightOnly: true, cancel: true });
  const status = await rig.ended('look', 'Succeeded');
  assert.deepEqual(
    status.checks?.map(({ name }) => name),
    [...CHECKS],
  );
  assert.match(named(status.checks, 'TargetPod')?.message ?? '', /would accept pod looked-at-restored\.$/);
  assert.deepEqual(
    status.checks?.filter((check) => check.status !== 'Pass').map(({ name, status }) => `${name} ${status}`),
    ['Connections Warn'],
  );
  assert.equal(
    status.message,
    `Pod looked-at can be migrated: ${CHECKS.length} checks passed, 1 of them with a warning. Nothing was changed.`,
  );
  assert.deepEqual(
    status.phaseTransitions?.map(({ phase }) => phase),
    ['Pending', 'Succeeded'],
  );
  assert.equal(rig.worker.executes(pod.metadata.uid!), true);
  await assertUntouched('looked-at', 'look');
});

test('what would be refused fails with its reason and what to do, beside what passed', async () => {
  await rig.runningPod('unfit', (pod) => {
    pod.spec!.volumes!.push({ name: 'host', hostPath: { path: '/srv' } });
  });
  rig.master.behaviour.info = { handlerReady: false };
  await rig.migrate('unfit', { podName: 'unfit', preflightOnly: true, cancel: true });
  const { checks, reason, message } = await rig.ended('unfit', 'Failed');
  assert.equal(reason, 'PodNotSupported');
  assert.match(message ?? '', /One more reason stands in the condition Accepted\.$/);
  const volumes = named(checks, 'Volumes');
  assert.deepEqual([volumes?.status, volumes?.reason], ['Fail', 'PodNotSupported']);
  assert.match(volumes?.hint ?? '', /--allow-host-path/);
  assert.equal(named(checks, 'TargetNode')?.reason, 'HandlerMissing');
  assert.equal(named(checks, 'SourceNode')?.status, 'Pass');
  assert.equal(named(checks, 'TargetPod'), undefined, 'not tried when something else fails');
  await assertUntouched('unfit', 'unfit');
});

test('with spec.force a preflight warns of what would be overridden, and names what would not', async () => {
  await rig.runningPod('forced', (pod) => {
    pod.spec!.containers[0]!.livenessProbe = { periodSeconds: 2, failureThreshold: 3, timeoutSeconds: 1 };
  });
  await rig.migrate('forced', { podName: 'forced', preflightOnly: true, cancel: true, force: true });
  const { checks } = await rig.ended('forced', 'Succeeded');
  const probes = named(checks, 'LivenessProbes');
  assert.equal(probes?.status, 'Warn');
  assert.match(
    probes?.message ?? '',
    /gives up after 5 s.* Overridden by spec\.force: .* 4 s is rolled back/,
  );

  rig.master.behaviour.info = { handlerReady: false };
  await rig.migrate('forced-2', { podName: 'forced', preflightOnly: true, cancel: true, force: true });
  const { checks: again } = await rig.ended('forced-2', 'Failed');
  assert.match(
    named(again, 'TargetNode')?.hint ?? '',
    /The check TargetNode is none that spec\.force \(--force\) overrides\.$/,
  );
  assert.equal(named(again, 'LivenessProbes')?.status, 'Warn');
  await assertUntouched('forced', 'forced');
});

test('the API server is asked whether it takes the target pod', async () => {
  await rig.runningPod('quota', (pod) => (pod.spec!.runtimeClassName = undefined));
  const path = '/apis/node.k8s.io/v1/runtimeclasses';
  const runtimeClass = await rig.client.json<object>('GET', `${path}/lpm`);
  await rig.client.json('DELETE', `${path}/lpm`);
  await rig.migrate('quota', { podName: 'quota', preflightOnly: true, cancel: true });
  const { checks } = await rig.ended('quota', 'Failed');
  assert.equal(named(checks, 'TargetPod')?.reason, 'HandlerMissing');
  assert.match(named(checks, 'TargetPod')?.hint ?? '', /kubectl apply -f manifests\/runtimeclass\.yaml/);
  await rig.client.json('POST', path, {
    body: { ...runtimeClass, metadata: { name: 'lpm' } },
  });
  await assertUntouched('quota', 'quota');
});

test('a migration of the pod goes on beside its preflight, and a preflight cannot become one', async () => {
  await rig.runningPod('both');
  await rig.migrate('both-look', { podName: 'both', preflightOnly: true, cancel: true });
  await rig.migrate('both', { podName: 'both' });
  await rig.ended('both', 'Succeeded');
  await rig.ended('both-look', 'Succeeded').catch(() => rig.ended('both-look', 'Failed'));
  await assert.rejects(
    rig.client.podMigrations.patch('both-look', 'default', { spec: { preflightOnly: false } }),
    /immutable but for/,
  );
  await assert.rejects(
    rig.migrate('saved-look', {
      podName: 'both',
      preflightOnly: true,
      cancel: true,
      fromCheckpoint: { kind: 'PodCheckpoint', name: 'c1' },
    }),
    /are for moving a running pod/,
  );
});

test('a preflight that a controller without this field would take for a migration is not accepted', async () => {
  await assert.rejects(
    rig.migrate('alone', { podName: 'both', preflightOnly: true }),
    /spec\.preflightOnly goes with spec\.cancel: true/,
  );
});
