import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { changeMigration } from '../../plugin/change-migration.js';
import { startWorld } from './world.js';

const spec = { podName: 'counter', targetNode: 'k8s-master' };

describe('changing a migration', () => {
  test('what has changed since it was judged is judged again', async (t) => {
    const { client, close } = await startWorld();
    t.after(close);
    const { podMigrations } = client;
    const metadata = { name: 'counter-aaaaa', namespace: 'default' };
    const created = await podMigrations.create({ metadata, spec }, 'default');
    const find = podMigrations.find.bind(podMigrations);
    const judged: (string | undefined)[] = [];
    t.mock.method(podMigrations, 'find', async (name: string, namespace?: string) => {
      const found = await find(name, namespace);
      // The controller writes between the look and the change, once.
      if (judged.length === 0) await podMigrations.patchStatus(name, namespace, { message: 'Frozen.' });
      return found;
    });
    const changed = await changeMigration(client, created, { cancel: true }, ({ status }) => {
      judged.push(status?.message);
    });
    assert.deepEqual(judged, [undefined, 'Frozen.']);
    assert.equal(changed.spec.cancel, true);
  });

  test('a namesake made since is left alone', async (t) => {
    const { client, close } = await startWorld();
    t.after(close);
    const { podMigrations } = client;
    const metadata = { name: 'counter-aaaaa', namespace: 'default' };
    const created = await podMigrations.create({ metadata, spec }, 'default');
    await podMigrations.delete(metadata.name, 'default');
    await podMigrations.create({ metadata, spec }, 'default');
    await assert.rejects(
      changeMigration(client, created, { cancel: true }, () => {}),
      /was deleted meanwhile; nothing was changed\.$/,
    );
    assert.equal((await podMigrations.get(metadata.name, 'default')).spec.cancel, undefined);
  });
});
