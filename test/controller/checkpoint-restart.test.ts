/** Checkpoints under controllers that die, are restarted, or believe that they act when another does. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { ApiError } from '../../common/kube/api-error.js';
import type { KubeClient } from '../../common/kube/client.js';
import { ended, takePod } from './checkpoints.js';
import { eventually, gate, Rig } from './rig.js';

let rig: Rig;
before(async () => {
  rig = await Rig.start();
});
after(() => rig.stop());
beforeEach(() => {
  rig.worker.behaviour.duringDump = () => {};
  rig.worker.archives.dumps.length = 0;
});

const two = (name: string) =>
  rig.runningPod(name, (pod) => pod.spec!.containers.push({ name: 'second', image: 'nginx:1.21' }));
const contents = async (podName: string) =>
  (await rig.client.containerCheckpointContents.list()).items.filter(({ spec }) => spec.podName === podName);

for (const via of ['Agent', 'Kubelet'] as const) {
  test(`via ${via}: a controller that is restarted while it runs joins the work; nothing is dumped twice`, async () => {
    const name = `joined-${via.toLowerCase()}`;
    const pod = await two(name);
    const dump = gate();
    rig.worker.behaviour.duringDump = () => dump.wait;
    await takePod(rig, name, name, { via });
    await eventually('the dump goes on', () =>
      Promise.resolve(rig.worker.archives.dumps.length > 0 || undefined),
    );
    await rig.controller.stop();
    const calls = rig.worker.calls.length;
    await rig.startController();
    await eventually('the new controller joins', () =>
      Promise.resolve(rig.worker.calls.length > calls || undefined),
    );
    dump.open();
    const checkpoint = await ended(rig, name);
    assert.equal(checkpoint.status?.phase, 'Succeeded', checkpoint.status?.message);
    assert.deepEqual(
      checkpoint.status.phaseTransitions?.map(({ phase }) => phase),
      ['Pending', 'Running', 'Succeeded'],
    );
    assert.equal(rig.worker.archives.dumps.length, via === 'Agent' ? 1 : 2);
    assert.equal((await contents(name)).length, 2);
    assert.equal(rig.worker.executes(pod.metadata.uid!), true);
  });
}

test('a pod that is deleted meanwhile is in the content all the same, also after a restart', async () => {
  const pod = await rig.runningPod('gone');
  const dump = gate();
  rig.worker.behaviour.duringDump = () => dump.wait;
  await takePod(rig, 'gone', 'gone');
  await eventually('the dump goes on', () =>
    Promise.resolve(rig.worker.archives.dumps.length > 0 || undefined),
  );
  await rig.controller.stop();
  dump.open();
  await rig.client.pods.delete('gone', 'default', { gracePeriodSeconds: 0 });
  await rig.startController();
  const checkpoint = await ended(rig, 'gone');
  assert.equal(checkpoint.status?.phase, 'Succeeded', checkpoint.status?.message);
  const [content] = await contents('gone');
  assert.deepEqual(content?.spec.podTemplate?.spec, pod.spec);
});

test('two controllers at once take one checkpoint', async () => {
  const pod = await two('twice');
  const other = await rig.anotherController(rig.newClient());
  await takePod(rig, 'twice', 'twice');
  const checkpoint = await ended(rig, 'twice');
  assert.equal(checkpoint.status?.phase, 'Succeeded', checkpoint.status?.message);
  await other.stop();
  assert.deepEqual(
    checkpoint.status.phaseTransitions?.map(({ phase }) => phase),
    ['Pending', 'Running', 'Succeeded'],
  );
  assert.deepEqual(rig.worker.archives.dumps, [`${checkpoint.metadata.uid} counter second`]);
  assert.equal((await contents('twice')).length, 2);
  assert.equal(rig.worker.executes(pod.metadata.uid!), true);
});

/** A client of which every write of an object fails once, before or after it is done. */
function unlucky(client: KubeClient): KubeClient {
  const seen = new Set<string>();
  const json = client.json.bind(client);
  client.json = async <T>(method: string, path: string, options = {}): Promise<T> => {
    const key = `${method} ${path}`;
    const ours = path.includes('lpm.my.domain') && method !== 'GET';
    if (!ours || seen.has(key)) return json<T>(method, path, options);
    seen.add(key);
    // Every other one is done although nobody hears of it.
    if (seen.size % 2 === 0) await json(method, path, options);
    throw ApiError.fromResponse(503, 'the server is shutting down');
  };
  return client;
}

test('an API server that fails each write once only delays it', async () => {
  const pod = await two('unlucky');
  await rig.controller.stop();
  rig.controller = await rig.anotherController(unlucky(rig.newClient()));
  await takePod(rig, 'unlucky', 'unlucky');
  const checkpoint = await ended(rig, 'unlucky');
  assert.equal(checkpoint.status?.phase, 'Succeeded', checkpoint.status?.message);
  assert.equal(rig.worker.archives.dumps.length, 1);
  assert.equal((await contents('unlucky')).length, 2);
  assert.equal(rig.worker.executes(pod.metadata.uid!), true);
});
