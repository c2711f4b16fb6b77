/** Checkpoints that a user makes, against an API server in memory and simulated nodes: the pod runs on. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { LpmError } from '../../common/errors.js';
import { eventually, gate, Rig } from './rig.js';

let rig: Rig;
before(async () => {
  rig = await Rig.start();
});
after(async () => {
  await rig.stop();
});
beforeEach(() => {
  rig.worker.calls.length = 0;
  rig.worker.behaviour.duringDump = () => {};
});

const podCheckpoint = async (name: string, podName: string) => {
  await rig.client.podCheckpoints.create(
    { metadata: { name, namespace: 'default' }, spec: { podName } },
    'default',
  );
  return eventually(`checkpoint ${name} ends`, async () => {
    const live = await rig.client.podCheckpoints.get(name, 'default');
    return live.status?.phase === 'Succeeded' || live.status?.phase === 'Failed' ? live : undefined;
  });
};
const containerCheckpoint = async (name: string, podName: string, containerName: string) => {
  await rig.client.containerCheckpoints.create(
    { metadata: { name, namespace: 'default' }, spec: { podName, containerName } },
    'default',
  );
  return eventually(`checkpoint ${name} ends`, async () => {
    const live = await rig.client.containerCheckpoints.get(name, 'default');
    return live.status?.phase === 'Succeeded' || live.status?.phase === 'Failed' ? live : undefined;
  });
};

test('a PodCheckpoint is taken once, bound to contents, and the pod runs on', async () => {
  const pod = await rig.runningPod('saved');
  const checkpoint = await podCheckpoint('saved', 'saved');
  assert.equal(checkpoint.status?.phase, 'Succeeded', checkpoint.status?.message);
  assert.deepEqual(
    checkpoint.status?.phaseTransitions?.map(({ phase }) => phase),
    ['Pending', 'Running', 'Succeeded'],
  );
  assert.deepEqual(checkpoint.status?.containerCheckpoints, ['saved-counter']);
  assert.deepEqual(rig.worker.calls, ['checkpoint']);
  assert.equal(rig.worker.executes(pod.metadata.uid!), true);

  const content = await rig.client.podCheckpointContents.get(checkpoint.status!.boundContentName!);
  assert.equal(content.spec.podCheckpointRef.uid, checkpoint.metadata.uid);
  assert.equal(content.spec.deletionPolicy, 'Delete');
  const child = await rig.client.containerCheckpoints.get('saved-counter', 'default');
  assert.equal(child.status?.phase, 'Succeeded');
  const [name = ''] = content.spec.containerCheckpointContents;
  const part = await rig.client.containerCheckpointContents.get(name);
  assert.match(part.spec.artifactURI, /^file:\/\/\/var\/lib\/.*\/counter$/);
  assert.equal(part.spec.containerCheckpointRef.uid, child.metadata.uid);

  await rig.client.podCheckpoints.delete('saved', 'default');
  await eventually('contents and artifacts are gone', async () => {
    const [pods, containers] = await Promise.all([
      rig.client.podCheckpointContents.list(),
      rig.client.containerCheckpointContents.list(),
    ]);
    return pods.items.length + containers.items.length + rig.worker.artifacts.length === 0 ? true : undefined;
  });
  assert.equal(rig.worker.executes(pod.metadata.uid!), true);
});

test('a ContainerCheckpoint of the only container is taken and bound', async () => {
  const pod = await rig.runningPod('one');
  const checkpoint = await containerCheckpoint('one', 'one', 'counter');
  assert.equal(checkpoint.status?.phase, 'Succeeded', checkpoint.status?.message);
  assert.equal(checkpoint.status?.containerID, `counter-of-${pod.metadata.uid}`);
  assert.deepEqual(rig.worker.artifacts, [checkpoint.metadata.uid]);
  await rig.client.containerCheckpoints.delete('one', 'default');
  await eventually('the artifact is gone', async () =>
    rig.worker.artifacts.length === 0 ? true : undefined,
  );
});

test('what is wrong is told in a sentence', async () => {
  await rig.runningPod('two', (pod) => pod.spec!.containers.push({ name: 'second', image: 'busybox:1.35' }));
  const outcomes = [
    await podCheckpoint('nobody', 'nobody'),
    await containerCheckpoint('wrong', 'two', 'third'),
    await podCheckpoint('two', 'two'),
    await containerCheckpoint('two', 'two', 'second'),
  ].map(({ status }) => `${status?.phase} ${status?.reason}: ${status?.message}`);
  assert.match(outcomes[0]!, /^Failed PodNotFound: There is no pod nobody/);
  assert.match(outcomes[1]!, /^Failed ContainerNotFound: Pod two has no container third\..*counter, second/);
  assert.match(outcomes[2]!, /^Failed NotSupportedYet: Pod two has 2 containers/);
  assert.match(outcomes[3]!, /^Failed NotSupportedYet: Pod two has 2 containers/);
  assert.deepEqual(rig.worker.calls, []);
});

test('a dump that fails is told, and the pod runs on', async () => {
  const pod = await rig.runningPod('fails');
  rig.worker.behaviour.duringDump = () => {
    throw new LpmError('CriuDumpFailed', 'CRIU could not dump container counter.');
  };
  const checkpoint = await podCheckpoint('fails', 'fails');
  assert.equal(checkpoint.status?.phase, 'Failed');
  assert.equal(checkpoint.status?.reason, 'CriuDumpFailed');
  assert.equal(
    (await rig.client.containerCheckpoints.get('fails-counter', 'default')).status?.phase,
    'Failed',
  );
  assert.equal(rig.worker.executes(pod.metadata.uid!), true);
});

test('a controller that is restarted while it runs joins the work', async () => {
  await rig.runningPod('joined');
  const dump = gate();
  rig.worker.behaviour.duringDump = () => dump.wait;
  const done = podCheckpoint('joined', 'joined');
  await eventually('the dump goes on', async () => (rig.worker.calls.length > 0 ? true : undefined));
  await rig.controller.stop();
  await rig.startController();
  await eventually('the new controller joins', async () => (rig.worker.calls.length > 1 ? true : undefined));
  dump.open();
  assert.equal((await done).status?.phase, 'Succeeded');
});

test('a checkpoint waits for a migration of the same pod', async () => {
  await rig.runningPod('both');
  const dump = gate();
  rig.worker.behaviour.duringDump = () => dump.wait;
  await rig.migrate('both', { podName: 'both' });
  await rig.inPhase('both', 'CheckpointInProgress');
  const done = podCheckpoint('both-saved', 'both');
  await eventually('it says so', async () => {
    const live = await rig.client.podCheckpoints.find('both-saved', 'default');
    return live?.status?.message?.includes('Waits for migration both') ? true : undefined;
  });
  dump.open();
  await rig.ended('both', 'Succeeded');
  // Its pod has moved on under another name.
  assert.equal((await done).status?.reason, 'PodNotFound');
});
