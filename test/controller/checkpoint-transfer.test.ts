/** Exports and imports of checkpoints as the controller opens and closes them, with simulated agents. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, test } from 'node:test';
import { EXPORT_TICKET_ANNOTATION, SYSTEM_NAMESPACE } from '../../common/api/names.js';
import { readBound } from '../../controller/checkpoint/bound.js';
import { ended, takePod } from './checkpoints.js';
import { eventually, Rig } from './rig.js';

let rig: Rig;
before(async () => {
  rig = await Rig.start();
  await rig.client.namespaces.create({ metadata: { name: SYSTEM_NAMESPACE } });
});
after(() => rig.stop());

const hash = (text: string) => createHash('sha256').update(text).digest('hex');
const ask = (name: string, ticket: string | null) =>
  rig.client.podCheckpoints.patch(name, 'default', {
    metadata: { annotations: { [EXPORT_TICKET_ANNOTATION]: ticket && hash(ticket) } },
  });
const live = (name: string) => rig.client.podCheckpoints.get(name, 'default');
const conditionOf = async (name: string) =>
  (await live(name)).status?.conditions?.find(({ type }) => type === 'TransferOpen');
const agentPod = async (node: string) => {
  const name = `checkpoint-agent-${node}`;
  await rig.client.pods.create(
    {
      metadata: { name, namespace: SYSTEM_NAMESPACE, labels: { app: 'checkpoint-agent' } },
      spec: { nodeName: node, containers: [{ name: 'agent', image: 'localhost/checkpoint-agent:latest' }] },
    },
    SYSTEM_NAMESPACE,
  );
  await eventually(`${name} runs`, async () => {
    const pod = await rig.client.pods.get(name, SYSTEM_NAMESPACE);
    return pod.status?.phase === 'Running' || undefined;
  });
  return name;
};
const opened = (name: string, ticket: string) =>
  eventually(`${name} is open`, async () => {
    const { status } = await live(name);
    return status?.transfer?.ticketSHA256 === hash(ticket) ? status.transfer : undefined;
  });

test('an export waits for an agent that runs in a pod, and says so', async () => {
  await rig.runningPod('exported');
  await takePod(rig, 'exported', 'exported');
  await ended(rig, 'exported');
  await ask('exported', 'first');
  const condition = await eventually('it is said', () => conditionOf('exported'));
  assert.equal(condition.status, 'False');
  assert.match(condition.message, /^No pod of an agent runs anywhere/);
  const pod = await agentPod('k8s-worker');
  const transfer = await opened('exported', 'first');
  assert.deepEqual(
    [transfer.agentNamespace, transfer.agentPod, transfer.port],
    [SYSTEM_NAMESPACE, pod, 50053],
  );
  const { request } = rig.worker.archives.transfers.get((await live('exported')).metadata.uid!)!;
  assert.equal(request.ticketSha256.toString('hex'), hash('first'));
  const [archive] = rig.worker.archives.all;
  assert.deepEqual(
    request.archives.map(({ containerName, uri, sha256 }) => [containerName, uri, sha256.toString('hex')]),
    [['counter', archive!.uri, archive!.info.sha256.toString('hex')]],
  );
});

test('a restarted agent is asked again, also by a restarted controller; another ticket replaces the first', async () => {
  const { uid } = (await live('exported')).metadata;
  rig.worker.archives.transfers.clear();
  await eventually('it is open again', () => Promise.resolve(rig.worker.archives.transfers.get(uid!)));
  await rig.controller.stop();
  rig.worker.archives.transfers.clear();
  await rig.startController();
  await eventually('it is open again', () => Promise.resolve(rig.worker.archives.transfers.get(uid!)));
  await ask('exported', 'second');
  await opened('exported', 'second');
});

test('while it is open its archive stays, also when its object is deleted; when it was read it is over', async () => {
  const { uid } = (await live('exported')).metadata;
  await takePod(rig, 'read', 'exported');
  await ended(rig, 'read');
  await ask('read', 'third');
  await opened('read', 'third');
  rig.worker.archives.transfers.get((await live('read')).metadata.uid!)!.complete = true;
  await eventually('it is closed', async () => ((await live('read')).status?.transfer ? undefined : true));
  assert.equal((await conditionOf('read'))?.reason, 'Complete');
  assert.equal((await live('read')).metadata.annotations?.[EXPORT_TICKET_ANNOTATION], undefined);
  await rig.client.podCheckpoints.delete('read', 'default');
  await rig.client.podCheckpoints.delete('exported', 'default');
  await eventually('the other one is gone', () =>
    Promise.resolve(rig.worker.archives.all.length === 1 || undefined),
  );
  assert.equal(rig.worker.archives.all[0]!.checkpointUid, uid);
  rig.worker.archives.transfers.get(uid!)!.complete = true;
  await eventually('it is gone', () => Promise.resolve(rig.worker.archives.all.length === 0 || undefined));
});

test('an export that is not wanted any more is closed', async () => {
  await takePod(rig, 'withdrawn', 'exported');
  await ended(rig, 'withdrawn');
  await ask('withdrawn', 'fourth');
  await opened('withdrawn', 'fourth');
  await ask('withdrawn', null);
  await eventually('it is closed', async () =>
    (await live('withdrawn')).status?.transfer ? undefined : true,
  );
  assert.equal((await conditionOf('withdrawn'))?.reason, 'Withdrawn');
  await rig.client.podCheckpoints.delete('withdrawn', 'default');
});

const imported = (ticket: string) => ({
  ticketSHA256: hash(ticket),
  podUID: '55555555-5555-4555-8555-555555555555',
  archives: [{ containerName: 'counter', sha256: hash('archive'), sizeBytes: 4096 }],
});

test('an import is taken in, bound, and makes no pod by itself', async () => {
  await takePod(rig, 'imported', 'counter', { import: imported('fifth') });
  const transfer = await opened('imported', 'fifth');
  assert.equal(transfer.agentPod, 'checkpoint-agent-k8s-worker');
  const { uid } = (await live('imported')).metadata;
  await rig.controller.stop();
  await rig.startController();
  rig.worker.archives.transfers.get(uid!)!.complete = true;
  const checkpoint = await ended(rig, 'imported');
  assert.equal(checkpoint.status?.phase, 'Succeeded', checkpoint.status?.message);
  assert.equal(checkpoint.status.transfer, undefined);
  const { bound, refusal } = await readBound(rig.client, {
    kind: 'PodCheckpoint',
    namespace: 'default',
    name: 'imported',
  });
  assert.ok(bound, refusal?.message);
  assert.equal(bound.podTemplate, undefined);
  const [content] = bound.containers;
  assert.deepEqual(
    [content!.spec.via, content!.spec.sha256, content!.spec.restorable, content!.spec.podUID],
    ['Import', hash('archive'), true, '55555555-5555-4555-8555-555555555555'],
  );
  await rig.client.podCheckpoints.delete('imported', 'default');
});

test('an import that nobody uploads fails when its time is over', async () => {
  await takePod(rig, 'late', 'counter', { import: imported('sixth'), timeoutSeconds: 10 });
  await opened('late', 'sixth');
  await rig.client.podCheckpoints.patchStatus('late', 'default', {
    startTime: new Date(Date.now() - 11_000).toISOString(),
  });
  const { status } = await ended(rig, 'late');
  assert.deepEqual([status?.phase, status?.reason, status?.transfer], ['Failed', 'TimedOut', undefined]);
});
