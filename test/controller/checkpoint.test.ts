/** Checkpoints that a user makes, against an API server in memory and simulated nodes: the pod runs on. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import type { ContainerCheckpoint, PodCheckpoint } from '../../common/api/schema.js';
import { LpmError } from '../../common/errors.js';
import { readBound } from '../../controller/checkpoint/bound.js';
import { childName } from '../../controller/checkpoint/names.js';
import { ended, endedContainer, takeContainer, takePod } from './checkpoints.js';
import { eventually, gate, Rig } from './rig.js';

let rig: Rig;
before(async () => {
  rig = await Rig.start();
});
after(() => rig.stop());
beforeEach(() => {
  rig.worker.calls.length = 0;
  rig.worker.behaviour.duringDump = () => {};
  rig.worker.archives.repositoryProblem = '';
});

const podCheckpoint = async (name: string, podName: string, spec: Partial<PodCheckpoint['spec']> = {}) => {
  await takePod(rig, name, podName, spec);
  return ended(rig, name);
};
const containerCheckpoint = async (
  name: string,
  podName: string,
  containerName: string,
  spec: Partial<ContainerCheckpoint['spec']> = {},
) => {
  await takeContainer(rig, name, podName, containerName, spec);
  return endedContainer(rig, name);
};
const twoContainers = (name: string) =>
  rig.runningPod(name, (pod) => pod.spec!.containers.push({ name: 'second', image: 'nginx:1.21' }));
const phases = ({ status }: PodCheckpoint | ContainerCheckpoint) =>
  status?.phaseTransitions?.map(({ phase }) => phase);
const condition = ({ status }: PodCheckpoint | ContainerCheckpoint, type: string) =>
  status?.conditions?.find((each) => each.type === type);

test('all containers of a pod are frozen together, bound to contents, and run on', async () => {
  const pod = await twoContainers('saved');
  const checkpoint = await podCheckpoint('saved', 'saved');
  assert.equal(checkpoint.status?.phase, 'Succeeded', checkpoint.status?.message);
  assert.deepEqual(phases(checkpoint), ['Pending', 'Running', 'Succeeded']);
  assert.deepEqual(checkpoint.status?.containerCheckpoints, ['saved-counter', 'saved-second']);
  assert.deepEqual(rig.worker.calls, ['checkpoint']);
  assert.deepEqual(rig.worker.archives.dumps.at(-1), `${checkpoint.metadata.uid} counter second`);
  assert.equal(rig.worker.executes(pod.metadata.uid!), true);
  assert.equal(checkpoint.status.frozenMilliseconds, 42);
  assert.equal(checkpoint.status.podTemplate, undefined);
  assert.equal(condition(checkpoint, 'Complete')?.status, 'True');
  assert.equal(condition(checkpoint, 'RepositoryAvailable')?.reason, 'Shared');

  const content = await rig.client.podCheckpointContents.get(checkpoint.status.boundContentName!);
  assert.equal(content.spec.podCheckpointRef.uid, checkpoint.metadata.uid);
  assert.equal(content.spec.deletionPolicy, 'Delete');
  assert.equal(content.spec.sizeBytes, 8192);
  assert.equal(checkpoint.status.sizeBytes, 8192);
  const { bound, refusal } = await readBound(rig.client, {
    kind: 'PodCheckpoint',
    namespace: 'default',
    name: 'saved',
  });
  assert.ok(bound, refusal?.message);
  assert.deepEqual(
    bound.containers.map(({ spec }) => [spec.containerName, spec.image, spec.via, spec.restorable]),
    [
      ['counter', 'busybox:1.35', 'Agent', true],
      ['second', 'nginx:1.21', 'Agent', true],
    ],
  );
  const [first] = bound.containers;
  const stored = rig.worker.archives.repository.get(first!.spec.artifactURI);
  assert.match(first!.spec.artifactURI, new RegExp(`^shared://${pod.metadata.uid}-counter-.*\\.tar$`));
  assert.equal(first!.spec.sha256, stored?.info.sha256.toString('hex'));
  assert.equal(first!.spec.madeOn?.criuVersion, '4.2.1');
  const described = first!.status?.description as { processes: { command: string }[] };
  assert.equal(described.processes[0]?.command, 'sh');
  const child = await rig.client.containerCheckpoints.get('saved-counter', 'default');
  assert.deepEqual(phases(child), ['Pending', 'Running', 'Succeeded']);
  assert.equal(child.status?.containerID, `counter-of-${pod.metadata.uid}`);
  assert.equal(child.metadata.ownerReferences?.[0]?.uid, checkpoint.metadata.uid);
  for (const uid of [pod.metadata.uid!, checkpoint.metadata.uid!]) {
    const reasons = (await rig.eventsOf(uid)).map(({ reason }) => reason);
    assert.ok(reasons.includes('Succeeded') || reasons.includes('Checkpointed'), reasons.join());
  }

  await rig.client.podCheckpoints.delete('saved', 'default');
  await eventually('contents and archives are gone', async () => {
    const [pods, containers] = await Promise.all([
      rig.client.podCheckpointContents.list(),
      rig.client.containerCheckpointContents.list(),
    ]);
    return pods.items.length + containers.items.length + rig.worker.archives.all.length === 0 || undefined;
  });
  assert.equal(rig.worker.executes(pod.metadata.uid!), true);
});

test('the content holds the pod as the API server had it, without what kubectl keeps for itself', async () => {
  const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration';
  const pod = await rig.runningPod('kept', ({ metadata }) => {
    metadata.annotations = { [lastApplied]: '{}', note: 'mine' };
  });
  const checkpoint = await podCheckpoint('kept', 'kept');
  const content = await rig.client.podCheckpointContents.get(checkpoint.status!.boundContentName!);
  assert.deepEqual(content.spec.podTemplate?.metadata, {
    labels: { app: 'kept' },
    annotations: { note: 'mine' },
  });
  assert.deepEqual(content.spec.podTemplate?.spec, pod.spec);
  const [stored] = rig.worker.archives.all;
  const json = JSON.parse(stored!.options.podJson) as typeof pod;
  assert.deepEqual([json.metadata.uid, json.metadata.name, json.spec], [pod.metadata.uid, 'kept', pod.spec]);
  assert.equal(stored!.options.clusterUid, (await rig.client.namespaces.get('kube-system')).metadata.uid);
  await rig.client.podCheckpoints.delete('kept', 'default');
});

test('a ContainerCheckpoint takes the one container that it names', async () => {
  const pod = await twoContainers('one');
  const checkpoint = await containerCheckpoint('one', 'one', 'second', { compression: 'Gzip' });
  assert.equal(checkpoint.status?.phase, 'Succeeded', checkpoint.status?.message);
  assert.deepEqual(phases(checkpoint), ['Pending', 'Running', 'Succeeded']);
  assert.equal(checkpoint.status.containerID, `second-of-${pod.metadata.uid}`);
  assert.equal(rig.worker.archives.dumps.at(-1), `${checkpoint.metadata.uid} second`);
  const wanted = { kind: 'ContainerCheckpoint', namespace: 'default', name: 'one' } as const;
  assert.ok((await readBound(rig.client, wanted)).bound?.podTemplate);
  await rig.client.containerCheckpoints.delete('one', 'default');
  await eventually('the archive is gone', () =>
    Promise.resolve(rig.worker.archives.all.length === 0 || undefined),
  );
});

test('the kubelet takes one container after the other, and what is missing then is said', async () => {
  await twoContainers('kubelet');
  const checkpoint = await podCheckpoint('kubelet', 'kubelet', { via: 'Kubelet' });
  assert.equal(checkpoint.status?.phase, 'Succeeded', checkpoint.status?.message);
  assert.deepEqual(rig.worker.calls, ['checkpointByKubelet', 'checkpointByKubelet']);
  assert.equal(rig.worker.archives.kubeletMost, 1);
  const children = await Promise.all(
    checkpoint.status.containerCheckpoints!.map((name) =>
      rig.client.containerCheckpoints.get(name, 'default'),
    ),
  );
  for (const child of children) {
    assert.deepEqual(phases(child), ['Pending', 'Running', 'Succeeded']);
    const { spec } = await rig.client.containerCheckpointContents.get(child.status!.boundContentName!);
    assert.deepEqual([spec.via, spec.restorable], ['Kubelet', false]);
    assert.match(spec.gaps?.[0] ?? '', /emptyDir/);
  }
  const [first, second] = children;
  assert.ok(Date.parse(second!.status!.startTime!) >= Date.parse(first!.status!.completionTime!));
  assert.equal(checkpoint.status.frozenMilliseconds, undefined);
  await rig.client.podCheckpoints.delete('kubelet', 'default');
  await eventually('the archives are gone', () =>
    Promise.resolve(rig.worker.archives.all.length === 0 || undefined),
  );
});

test('without the repository the archive lies on the node, and the status says why', async () => {
  await rig.runningPod('local');
  rig.worker.archives.repositoryProblem = '/mnt/checkpoints is not mounted on k8s-worker.';
  const checkpoint = await podCheckpoint('local', 'local');
  const repository = condition(checkpoint, 'RepositoryAvailable');
  assert.equal(repository?.reason, 'Fallback');
  assert.match(repository?.message ?? '', /\/mnt\/checkpoints is not mounted on k8s-worker/);
  const { bound } = await readBound(rig.client, {
    kind: 'PodCheckpoint',
    namespace: 'default',
    name: 'local',
  });
  assert.match(
    bound?.containers[0]?.spec.artifactURI ?? '',
    /^file:\/\/\/var\/lib\/kubelet\/checkpoints\/checkpoint-local_default-counter-.*\.tar$/,
  );
  await rig.client.podCheckpoints.delete('local', 'default');
  await eventually('the archive is gone', () =>
    Promise.resolve(rig.worker.archives.all.length === 0 || undefined),
  );
});

test('what is wrong is told in a sentence', async () => {
  await twoContainers('two');
  await rig.client.containerCheckpoints.create(
    {
      metadata: { name: 'mine-counter', namespace: 'default' },
      spec: { podName: 'nobody', containerName: 'counter' },
    },
    'default',
  );
  await endedContainer(rig, 'mine-counter');
  const outcomes = [
    await podCheckpoint('nobody', 'nobody'),
    await containerCheckpoint('wrong', 'two', 'third'),
    await podCheckpoint('mine', 'two'),
  ].map(({ status }) => `${status?.phase} ${status?.reason}: ${status?.message}`);
  assert.match(outcomes[0]!, /^Failed PodNotFound: There is no pod nobody/);
  assert.match(outcomes[1]!, /^Failed ContainerNotFound: Pod two has no container third\..*counter, second/);
  assert.match(outcomes[2]!, /^Failed NameTaken: There is a ContainerCheckpoint mine-counter already/);
  assert.ok(!rig.worker.calls.includes('checkpoint'));
});

test('children of names that are too long have the same name every time', async () => {
  await rig.runningPod('long');
  const name = 'l'.repeat(250);
  const checkpoint = await podCheckpoint(name, 'long');
  assert.equal(checkpoint.status?.phase, 'Succeeded', checkpoint.status?.message);
  const [child] = checkpoint.status.containerCheckpoints!;
  assert.equal(child, childName(name, 'counter'));
  assert.equal(child!.length, 253);
  assert.notEqual(child, childName(name, 'other'));
  await rig.client.podCheckpoints.delete(name, 'default');
});

test('a dump that fails is told, and the pod runs on', async () => {
  const pod = await rig.runningPod('fails');
  rig.worker.behaviour.duringDump = () => {
    throw new LpmError('CriuDumpFailed', 'CRIU could not dump container counter.');
  };
  const checkpoint = await podCheckpoint('fails', 'fails');
  assert.equal(checkpoint.status?.phase, 'Failed');
  assert.equal(checkpoint.status?.reason, 'CriuDumpFailed');
  assert.deepEqual(phases(checkpoint), ['Pending', 'Running', 'Failed']);
  const child = await rig.client.containerCheckpoints.get('fails-counter', 'default');
  assert.deepEqual(phases(child), ['Pending', 'Running', 'Failed']);
  assert.equal(rig.worker.executes(pod.metadata.uid!), true);
  await rig.client.podCheckpoints.delete('fails', 'default');
});

test('a container that is restarted in between is not dumped by mistake', async () => {
  const pod = await rig.runningPod('restarted');
  await rig.controller.stop();
  // What a controller that died right after its decision leaves behind.
  const { uid } = pod.metadata;
  const [name, containerID] = ['restarted', `counter-of-${uid}`];
  await takeContainer(rig, name, name, 'counter');
  await rig.client.containerCheckpoints.patchStatus(name, 'default', {
    phase: 'Running',
    nodeName: 'k8s-worker',
    podUID: uid,
    containerID,
    startTime: new Date().toISOString(),
  });
  await rig.worker.restartContainer(uid!, 'counter');
  await rig.startController();
  const checkpoint = await endedContainer(rig, name);
  assert.equal(checkpoint.status?.reason, 'SourceChanged');
  assert.match(checkpoint.status?.message ?? '', /was restarted/);
  assert.ok(!rig.worker.archives.dumps.some((dump) => dump.startsWith(checkpoint.metadata.uid!)));
});

test('a checkpoint waits for a migration of the same pod', async () => {
  await rig.runningPod('both');
  const dump = gate();
  rig.worker.behaviour.duringDump = () => dump.wait;
  await rig.migrate('both', { podName: 'both' });
  await rig.inPhase('both', 'CheckpointInProgress');
  await takePod(rig, 'both-saved', 'both');
  await eventually('it says so', async () => {
    const live = await rig.client.podCheckpoints.find('both-saved', 'default');
    return live?.status?.message?.includes('Waits for migration both') ? true : undefined;
  });
  dump.open();
  await rig.ended('both', 'Succeeded');
  // Its pod has moved on under another name.
  assert.equal((await ended(rig, 'both-saved')).status?.reason, 'PodNotFound');
});

test('a migration does not begin while a checkpoint is being taken, and two of one pod do not overlap', async () => {
  const pod = await rig.runningPod('busy');
  const dump = gate();
  rig.worker.behaviour.duringDump = () => dump.wait;
  await takePod(rig, 'busy-1', 'busy');
  await takePod(rig, 'busy-2', 'busy');
  await eventually('one waits for the other', async () => {
    const both = await Promise.all(
      ['busy-1', 'busy-2'].map((name) => rig.client.podCheckpoints.get(name, 'default')),
    );
    const waits = both.some(({ status }) => status?.message?.startsWith('Waits for checkpoint busy-'));
    return (waits && both.some(({ status }) => status?.phase === 'Running')) || undefined;
  });
  await rig.migrate('busy', { podName: 'busy' });
  assert.equal((await rig.ended('busy', 'Failed')).reason, 'PodBusy');
  dump.open();
  for (const name of ['busy-1', 'busy-2']) {
    assert.equal((await ended(rig, name)).status?.phase, 'Succeeded');
  }
  assert.equal(rig.worker.executes(pod.metadata.uid!), true);
});

test('a checkpoint that is given up or deleted lets the pod run on', async () => {
  const pod = await rig.runningPod('given-up');
  const dump = gate();
  rig.worker.behaviour.duringDump = () => dump.wait;
  await takePod(rig, 'given-up', 'given-up', { timeoutSeconds: 10 });
  await eventually('it is frozen', () =>
    Promise.resolve(!rig.worker.executes(pod.metadata.uid!) || undefined),
  );
  // Ten seconds are the least.
  await rig.client.podCheckpoints.patchStatus('given-up', 'default', {
    startTime: new Date(Date.now() - 11_000).toISOString(),
  });
  assert.equal((await ended(rig, 'given-up')).status?.reason, 'TimedOut');
  await eventually('it runs on', () => Promise.resolve(rig.worker.executes(pod.metadata.uid!) || undefined));

  await takePod(rig, 'deleted', 'given-up');
  await eventually('it is frozen', () =>
    Promise.resolve(!rig.worker.executes(pod.metadata.uid!) || undefined),
  );
  await rig.client.podCheckpoints.delete('deleted', 'default');
  await eventually('it runs on', () => Promise.resolve(rig.worker.executes(pod.metadata.uid!) || undefined));
  dump.open();
  await eventually('no child is left', async () =>
    (await rig.client.containerCheckpoints.find('deleted-counter', 'default')) ? undefined : true,
  );
});
