/** What list-watch clients stand on: pages, resource versions, watches that resume, bookmarks, and 410 for what is forgotten. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ListWatch } from '../../common/kube/list-watch.js';
import type { KubeObject, WatchEvent } from '../../common/kube/types.js';
import { until } from '../support/until.js';
import { refusal, startSubject, type Subject } from './subject.js';

let subject: Subject;
before(async () => (subject = await startSubject()));
after(() => subject.end());

const make = (name: string, labels: Record<string, string> = {}, data: Record<string, string> = {}) =>
  subject.configMaps.create({ metadata: { name, labels }, data }, subject.namespace);
const names = (items: KubeObject[]): string[] => items.map(({ metadata }) => metadata.name);
const told = ({ type, object }: WatchEvent<KubeObject>): string => `${type} ${object.metadata.name}`;

/** Reads a watch until `count` events other than bookmarks are in; ten seconds at most. */
async function events(
  query: Record<string, string | number | boolean>,
  count: number,
): Promise<WatchEvent<KubeObject>[]> {
  const stop = AbortSignal.timeout(10_000);
  const seen: WatchEvent<KubeObject>[] = [];
  for await (const event of subject.configMaps.watch({ namespace: subject.namespace, ...query }, stop)) {
    seen.push(event);
    if (seen.length === count) return seen;
  }
  return seen;
}

test('a list comes in pages that name how many remain, all under one resource version', async () => {
  for (const name of ['e', 'c', 'a', 'd', 'b']) await make(`page-${name}`, { in: 'pages' });
  const { namespace, configMaps } = subject;
  const labelled = await configMaps.list({ namespace, labelSelector: 'in=pages', limit: 2 });
  assert.deepEqual(names(labelled.items), ['page-a', 'page-b']);
  // With a selector the server does not know how many more there are.
  assert.equal(labelled.metadata.remainingItemCount, undefined);
  const first = await configMaps.list({ namespace, limit: 2 });
  const all = await configMaps.list({ namespace });
  assert.equal(first.metadata.remainingItemCount, all.items.length - 2);
  const found = names(first.items);
  let next = first.metadata.continue;
  while (next) {
    const page = await configMaps.list({ namespace, limit: 2, continue: next });
    assert.equal(page.metadata.resourceVersion, first.metadata.resourceVersion);
    found.push(...names(page.items));
    next = page.metadata.continue;
  }
  assert.deepEqual(found, names(all.items));
  assert.equal((await refusal(configMaps.list({ namespace, limit: 2, continue: 'nonsense' }))).code, 400);
});

test('a watch goes on from a resource version and shows what came after it', async () => {
  const { namespace, configMaps } = subject;
  const { metadata } = await configMaps.list({ namespace });
  const made = await make('resumed', {}, { n: '1' });
  const changed = await configMaps.patch('resumed', namespace, { data: { n: '2' } });
  await configMaps.delete('resumed', namespace);
  const version = metadata.resourceVersion!;
  const seen = await events({ resourceVersion: version }, 3);
  assert.deepEqual(seen.map(told), ['ADDED resumed', 'MODIFIED resumed', 'DELETED resumed']);
  assert.deepEqual(
    seen.slice(0, 2).map(({ object }) => object.metadata.resourceVersion),
    [made.metadata.resourceVersion, changed.metadata.resourceVersion],
  );
  const last = Number(seen[2]!.object.metadata.resourceVersion);
  assert.ok(last > Number(changed.metadata.resourceVersion), 'a deletion has a version of its own');
  const later = await events({ resourceVersion: changed.metadata.resourceVersion! }, 1);
  assert.deepEqual(later.map(told), ['DELETED resumed']);
});

test('a watch without a version begins with what there is', async () => {
  await make('begin-a', { in: 'begin' });
  await make('begin-b', { in: 'begin' });
  for (const from of ['', '0']) {
    const seen = await events({ labelSelector: 'in=begin', resourceVersion: from }, 2);
    assert.deepEqual(seen.map(told).sort(), ['ADDED begin-a', 'ADDED begin-b']);
  }
});

test('what begins or ceases to match a selector is added or deleted for its watch', async () => {
  const { namespace, configMaps } = subject;
  const from = (await make('matching')).metadata.resourceVersion!;
  for (const colour of ['blue', 'red', 'blue']) {
    await configMaps.patch('matching', namespace, { metadata: { labels: { colour } } });
  }
  await configMaps.delete('matching', namespace);
  const seen = await events({ resourceVersion: from, labelSelector: 'colour=blue' }, 4);
  assert.deepEqual(
    seen.map(({ type }) => type),
    ['ADDED', 'DELETED', 'ADDED', 'DELETED'],
  );
  const one = await events({ resourceVersion: from, fieldSelector: 'metadata.name=matching' }, 4);
  assert.deepEqual(
    one.map(({ type }) => type),
    ['MODIFIED', 'MODIFIED', 'MODIFIED', 'DELETED'],
  );
});

test('a watch ends by itself when its timeout is over', async () => {
  const { metadata } = await subject.configMaps.list({ namespace: subject.namespace });
  const began = Date.now();
  const seen = await events({ resourceVersion: metadata.resourceVersion!, timeoutSeconds: 1 }, 1000);
  const took = Date.now() - began;
  assert.ok(took >= 900 && took < 8000, `the server ended the watch after ${took} ms`);
  assert.deepEqual(seen, []);
});

test('a watch list ends its initial events with a bookmark that says so', async () => {
  await make('initial', { in: 'initial' });
  const seen = await events(
    {
      labelSelector: 'in=initial',
      sendInitialEvents: true,
      resourceVersionMatch: 'NotOlderThan',
      allowWatchBookmarks: true,
    },
    2,
  );
  assert.deepEqual(
    seen.map(({ type }) => type),
    ['ADDED', 'BOOKMARK'],
  );
  assert.equal(seen[1]!.object.metadata.annotations?.['k8s.io/initial-events-end'], 'true');
});

test('a version that is forgotten is answered with 410', async () => {
  // The history of a resource begins when it is first served: for the copies of our CRDs, later than version 1.
  const { namespace, migrations } = subject;
  const error = await refusal(
    migrations.watch({ namespace, resourceVersion: '1' }, AbortSignal.timeout(10_000)).next(),
  );
  assert.deepEqual([error.code, error.isExpired], [410, true]);
  assert.match(error.message, /^too old resource version: 1 \(\d+\)$/);
  assert.ok(['Expired', 'Gone'].includes(error.reason), error.reason);
});

test('our list-watch follows, resumes after its watches end, and lists again after a 410', async () => {
  const { namespace, migrations } = subject;
  await migrations.create({ metadata: { name: 'before' }, spec: { podName: 'a' } }, namespace);
  const changes: string[] = [];
  let lists = 0;
  let watches = 0;
  const errors: string[] = [];
  const watch = new ListWatch(
    {
      list: (query) => {
        lists += 1;
        return migrations.list(query);
      },
      // The second watch asks for a version that is long forgotten.
      watch: (query, signal) =>
        migrations.watch({ ...query, ...(++watches === 2 ? { resourceVersion: '1' } : {}) }, signal),
    },
    {
      namespace,
      watchSeconds: 2,
      onChange: (key, object, old) =>
        changes.push(`${key.split('/')[1]} ${object ? (old ? 'changed' : 'added') : 'gone'}`),
      onError: (message) => errors.push(message),
    },
  ).start();
  try {
    await watch.synced();
    assert.deepEqual(changes, ['before added']);
    await migrations.create({ metadata: { name: 'after' }, spec: { podName: 'b' } }, namespace);
    await until('the new one is told', () => changes.includes('after added'));
    await until('the watch was resumed after a second list', () => lists === 2 && watches >= 3, {
      timeoutMs: 15_000,
    });
    await migrations.patchStatus('after', namespace, { phase: 'Pending' });
    await until('the change is told', () => changes.includes('after changed'));
    await migrations.delete('before', namespace);
    await until('the deletion is told', () => changes.includes('before gone'));
    assert.deepEqual(changes, ['before added', 'after added', 'after changed', 'before gone']);
    assert.deepEqual(errors, []);
  } finally {
    await watch.stop();
  }
});
