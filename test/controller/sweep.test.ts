/** What is left on the nodes when nobody works with it any more, against an API server in memory and two simulated nodes. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import type { Pod } from '../../common/kube/types.js';
import { eventually, gate, Rig } from './rig.js';

let rig: Rig;
before(async () => {
  rig = await Rig.start();
});
after(async () => {
  await rig.stop();
});
beforeEach(() => {
  for (const node of [rig.worker, rig.master]) {
    Object.assign(node.behaviour, { duringDump: () => {}, beforeCommit: () => {}, afterCommit: () => {} });
  }
});

const isFrozen = (pod: Pod): boolean => rig.worker.sources.get(pod.metadata.uid!)?.frozen ?? false;
const executes = (pod: Pod): boolean => rig.worker.executes(pod.metadata.uid!);

/** The controller reaches it again: before that it refuses what is asked for. */
async function masterIsBack(): Promise<void> {
  const { looks } = rig.master;
  await rig.master.startAgent(rig.port);
  await eventually('the target is looked at again', async () => rig.master.looks > looks || undefined);
}

/** A migration is removed by force, with its finalizer, while no controller runs. */
async function removedByForce(name: string): Promise<void> {
  await rig.client.podMigrations.patch(name, 'default', { metadata: { finalizers: [] } });
  await rig.client.podMigrations.delete(name, 'default');
  await rig.client.podCheckpoints.delete(name, 'default').catch(() => {});
}

/** The artifacts of this very migration lie on the source's node. */
async function dumped(name: string): Promise<string> {
  return eventually(`pod ${name} is dumped`, async () => {
    const uid = (await rig.migration(name)).status?.podCheckpointUID;
    return uid !== undefined && rig.worker.artifacts.includes(uid) ? uid : undefined;
  });
}

/** A person has decided about it when neither node could be asked, and it has ended so. */
async function endedForTheSource(name: string): Promise<void> {
  const { status } = await rig.migration(name);
  const resolved = {
    type: 'Resolved',
    status: 'True',
    reason: 'KeepSource',
    message: 'A person has decided.',
  };
  const lastTransitionTime = new Date().toISOString().replace(/\.\d+/, '');
  await rig.client.podMigrations.patchStatus(name, 'default', {
    phase: 'Failed',
    conditions: [...(status?.conditions ?? []), { ...resolved, lastTransitionTime }],
  });
  await rig.client.podMigrations.patch(name, 'default', { metadata: { finalizers: [] } });
}

/** A pod whose source is frozen and dumped, and whose migration is gone, or left by `leave`; no controller runs. */
async function orphaned(name: string, leave = removedByForce): Promise<Pod> {
  const pod = await rig.runningPod(name);
  const closed = gate();
  rig.master.behaviour.beforeCommit = async () => {
    await closed.wait;
    throw new Error('the agent was restarted');
  };
  await rig.migrate(name, { podName: name });
  await dumped(name);
  await eventually('it is being restored', async () => rig.master.calls.includes('restore') || undefined);
  rig.master.calls.length = 0;
  await rig.controller.stop();
  await leave(name);
  closed.open();
  return pod;
}

test('a frozen pod without a migration runs on, after its target was revoked, and its artifacts go', async () => {
  const pod = await orphaned('forgotten');
  assert.ok(isFrozen(pod));
  await rig.startController();
  await eventually('it runs on', async () => executes(pod) || undefined);
  await eventually('its artifacts are gone', async () => rig.worker.artifacts.length === 0 || undefined);
  assert.ok(![...rig.master.targets.values()].some(({ restoredAt }) => restoredAt), 'nothing was restored');
  const events = await eventually('it is said', async () => {
    const found = (await rig.eventsOf(pod.metadata.uid!)).filter(({ reason }) => reason === 'Frozen');
    return found.length > 0 ? found : undefined;
  });
  assert.match(events[0]!.message!, /^Thawed pod default\/forgotten on node k8s-worker/);
});

test('a frozen pod whose restored processes execute is ended', async () => {
  const pod = await rig.runningPod('moved');
  const closed = gate();
  rig.master.behaviour.afterCommit = () => closed.wait;
  await rig.migrate('moved', { podName: 'moved' });
  const restored = await eventually('it executes on the target', async () =>
    [...rig.master.targets].find(([uid, { restoredAt }]) => restoredAt && rig.master.executes(uid)),
  );
  await rig.controller.stop();
  await removedByForce('moved');
  closed.open();
  assert.ok(isFrozen(pod));
  await rig.startController();
  await eventually('the source is gone', async () =>
    (await rig.client.pods.find('moved', 'default')) ? undefined : true,
  );
  assert.equal(executes(pod), false);
  assert.ok(rig.master.executes(restored[0]), 'the restored processes run on');
  await eventually('its artifacts are gone', async () => rig.worker.artifacts.length === 0 || undefined);
});

test('a source that a person has kept is ended when its target says that it has executed', async () => {
  const pod = await rig.runningPod('both');
  const closed = gate();
  rig.master.behaviour.afterCommit = () => closed.wait;
  await rig.migrate('both', { podName: 'both' });
  await eventually('it executes on the target', async () => {
    const uid = (await rig.migration('both')).status?.restoredPodUID;
    return (uid && rig.master.targets.get(uid)?.restoredAt && rig.master.executes(uid)) || undefined;
  });
  await rig.controller.stop();
  await endedForTheSource('both');
  closed.open();
  await rig.startController();
  await eventually('the source is gone', async () =>
    (await rig.client.pods.find('both', 'default')) ? undefined : true,
  );
  assert.equal(executes(pod), false);
});

test('where the target cannot be asked, the pod stays frozen and says so; it runs on when it can', async () => {
  const pod = await orphaned('cut-off');
  rig.master.stopAgent();
  await rig.startController();
  const warning = await eventually('it is said', async () =>
    (await rig.eventsOf(pod.metadata.uid!)).find(({ type }) => type === 'Warning'),
  );
  assert.match(
    warning.message!,
    /^The pod stays frozen: its migration cut-off is gone, and The agent on node/,
  );
  assert.match(warning.message!, /Deleting the pod ends it/);
  assert.ok(isFrozen(pod));
  await masterIsBack();
  await eventually('it runs on', async () => executes(pod) || undefined);
});

test('a frozen pod runs on whose source a person has kept, though its target never answers', async () => {
  const pod = await orphaned('kept', endedForTheSource);
  rig.master.stopAgent();
  assert.ok(isFrozen(pod));
  await rig.startController();
  await eventually('it runs on', async () => executes(pod) || undefined);
  await eventually('its artifacts are gone', async () => rig.worker.artifacts.length === 0 || undefined);
  await masterIsBack();
});

test('a frozen pod that somebody deletes is ended, whatever its target says', async () => {
  const pod = await orphaned('deleted');
  rig.master.stopAgent();
  await rig.client.pods.delete('deleted', 'default', { uid: pod.metadata.uid! });
  await rig.startController();
  await eventually('the pod is gone', async () =>
    (await rig.client.pods.find('deleted', 'default')) ? undefined : true,
  );
  assert.equal(executes(pod), false);
  await masterIsBack();
});

test('what a migration works with is left alone, however long it takes', async () => {
  const pod = await rig.runningPod('slow');
  const closed = gate();
  rig.master.behaviour.beforeCommit = () => closed.wait;
  await rig.migrate('slow', { podName: 'slow' });
  const checkpoint = await dumped('slow');
  const looks = () => rig.worker.looks;
  const before = looks();
  // Ten looks at intervals of 0.2 s are twice the grace period.
  await eventually('it was looked at', async () => looks() >= before + 10 || undefined);
  assert.ok(isFrozen(pod));
  assert.ok(rig.worker.artifacts.includes(checkpoint));
  closed.open();
  await rig.ended('slow', 'Succeeded');
});
