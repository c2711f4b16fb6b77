/**
 * Two controllers that both believe to act: one of them stood still in the middle of a write while the other did the work.
 * What it wakes up with must neither be written nor acted on.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { PodMigration } from '../../common/api/schema.js';
import type { KubeClient } from '../../common/kube/client.js';
import { findCondition } from '../../controller/status/conditions.js';
import { eventually, gate, Rig } from './rig.js';

let rig: Rig;
before(async () => {
  rig = await Rig.start();
  await rig.controller.stop();
});
after(() => rig.stop());

/** A client whose first status write of this kind stays on its way until the gate is opened. */
function slowWriter(isMeant: (migration: PodMigration) => boolean) {
  const client = rig.newClient();
  const migrations = client.podMigrations;
  const write = migrations.replaceStatus.bind(migrations);
  const arrived = gate();
  const goOn = gate();
  let answered = '';
  let held = false;
  migrations.replaceStatus = async (migration) => {
    if (held || !isMeant(migration)) return write(migration);
    held = true;
    arrived.open();
    await goOn.wait;
    try {
      return await write(migration);
    } catch (error) {
      answered = String(error);
      throw error;
    }
  };
  return { client, arrived: arrived.wait, wake: goOn.open, answered: () => answered || undefined };
}

const barriers: [string, (migration: PodMigration) => boolean, string[]][] = [
  [
    'the acceptance',
    ({ status }) => findCondition(status?.conditions, 'Accepted') !== undefined,
    ['checkpoint', 'endSource'],
  ],
  [
    'the mark that the source may be frozen',
    ({ status }) => findCondition(status?.conditions, 'Checkpointed')?.reason === 'Freezing',
    ['checkpoint', 'endSource'],
  ],
];

for (const [index, [what, isMeant, calls]] of barriers.entries()) {
  test(`a controller that wakes up behind the other: ${what} is refused, and nothing is begun`, async () => {
    const name = `stale-${index}`;
    const pod = await rig.runningPod(name);
    for (const node of [rig.worker, rig.master]) node.calls.length = 0;
    const slow = slowWriter(isMeant);
    const stale = await rig.anotherController(slow.client);
    await rig.migrate(name, { podName: name });
    await slow.arrived;

    const other = await rig.anotherController(rig.client);
    await rig.ended(name, 'Succeeded');
    const ended = await rig.migration(name);
    await other.stop();

    const before = rig.logLines.length;
    slow.wake();
    assert.match(
      (await eventually('its write is refused', () => Promise.resolve(slow.answered()))) ?? '',
      /modified/,
    );
    await eventually('it drops what it had decided', () =>
      Promise.resolve(
        rig.logLines.slice(before).some((line) => line.includes('nothing is started')) ? true : undefined,
      ),
    );
    // A turn of its own over an untouched migration shows that it works on, and that nothing of the old one is left to do.
    await rig.runningPod(`${name}-next`);
    const callsBefore = [...rig.worker.calls];
    await rig.migrate(`${name}-next`, { podName: `${name}-next` });
    await rig.ended(`${name}-next`, 'Succeeded');

    assert.deepEqual(
      callsBefore.filter((call) => call !== 'discard'),
      calls,
      'each thing was asked once',
    );
    assert.deepEqual(await rig.migration(name), ended, 'the migration is as the other left it');
    assert.equal(rig.worker.executes(pod.metadata.uid!), false);
    const pods = (await rig.client.pods.list({ namespace: 'default' })).items.map(
      ({ metadata }) => metadata.name,
    );
    assert.deepEqual(
      pods.filter((one) => one.startsWith(`${name}-r`)),
      [`${name}-restored`],
    );
    await stale.stop();
    slow.client.close();
  });
}

test('two controllers that act at the same time do not make two of anything', async () => {
  const pod = await rig.runningPod('both');
  const clients: KubeClient[] = [rig.newClient(), rig.newClient()];
  const controllers = await Promise.all(clients.map((client) => rig.anotherController(client)));
  await rig.migrate('both', { podName: 'both' });
  const status = await rig.ended('both', 'Succeeded');
  assert.equal(rig.worker.executes(pod.metadata.uid!), false);
  assert.equal(rig.master.executes(status.restoredPodUID!), true);
  const targets = [...rig.master.targets].filter(([, target]) => target.restoredAt !== undefined);
  assert.equal(targets.filter(([uid]) => uid === status.restoredPodUID).length, 1);
  const pods = (await rig.client.pods.list({ namespace: 'default' })).items.map(
    ({ metadata }) => metadata.name,
  );
  assert.deepEqual(
    pods.filter((one) => one.startsWith('both')),
    ['both-restored'],
  );
  await Promise.all(controllers.map((one) => one.stop()));
  for (const client of clients) client.close();
});

test('several migrations of one pod at the same instant, two controllers that act: one is accepted', async () => {
  const clients: KubeClient[] = [rig.newClient(), rig.newClient()];
  const controllers = await Promise.all(clients.map((client) => rig.anotherController(client)));
  for (const round of ['one', 'two', 'three']) {
    await rig.runningPod(round);
    const names = ['a', 'b', 'c'].map((letter) => `${round}-${letter}`);
    await Promise.all(names.map((name) => rig.migrate(name, { podName: round })));
    const ended = await eventually('all have ended', async () => {
      const all = await Promise.all(names.map((name) => rig.migration(name)));
      return all.every(({ status }) => status?.phase === 'Succeeded' || status?.phase === 'Failed')
        ? all
        : undefined;
    });
    const outcomes = ended.map(({ status }) => `${status?.phase} ${status?.reason ?? ''}`.trim()).sort();
    assert.deepEqual(outcomes, ['Failed PodBusy', 'Failed PodBusy', 'Succeeded']);
    const accepted = ended.filter(
      ({ status }) => findCondition(status?.conditions, 'Accepted')?.status === 'True',
    );
    assert.equal(accepted.length, 1);
    const pods = (await rig.client.pods.list({ namespace: 'default' })).items.map(
      ({ metadata }) => metadata.name,
    );
    assert.deepEqual(
      pods.filter((one) => one.startsWith(`${round}-r`)),
      [`${round}-restored`],
    );
  }
  await Promise.all(controllers.map((one) => one.stop()));
  for (const client of clients) client.close();
});
