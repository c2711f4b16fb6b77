/** What a server that has forgotten tells those who come late: bookmarks before it happens, 410 for the page of an old list. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { refusal, startSubject, type Subject } from './subject.js';

let subject: Subject;
before(async () => (subject = await startSubject()));
after(() => subject.end());

test('a watch on which nothing happens gets a bookmark about each minute, from which another goes on', async () => {
  const { namespace, migrations, configMaps } = subject;
  const { metadata } = await migrations.list({ namespace });
  // Other resources change meanwhile: the bookmark brings the watch past that.
  await configMaps.create({ metadata: { name: 'elsewhere' } }, namespace);
  const began = Date.now();
  const query = { namespace, resourceVersion: metadata.resourceVersion!, timeoutSeconds: 300 };
  const watch = migrations.watch({ ...query, allowWatchBookmarks: true }, AbortSignal.timeout(100_000));
  const { value: event } = await watch.next();
  assert.equal(event?.type, 'BOOKMARK');
  const took = Date.now() - began;
  assert.ok(took > 30_000 && took < 90_000, `${took} ms`);
  const { object } = event!;
  assert.deepEqual([object.kind, object.metadata.name ?? ''], ['PodMigration', '']);
  const from = object.metadata.resourceVersion!;
  assert.ok(Number(from) > Number(metadata.resourceVersion), `${from} > ${metadata.resourceVersion}`);
  await watch.return(undefined);

  await migrations.create({ metadata: { name: 'later' }, spec: { podName: 'a' } }, namespace);
  const next = migrations.watch({ namespace, resourceVersion: from }, AbortSignal.timeout(20_000));
  const { value: change } = await next.next();
  assert.deepEqual([change?.type, change?.object.metadata.name], ['ADDED', 'later']);
  await next.return(undefined);
});

test('a page of a list that is forgotten is refused with 410 and the way to the rest', async (t) => {
  const { namespace, migrations } = subject;
  for (const name of ['page-1', 'page-2']) {
    const labels = { in: 'pages' };
    await migrations.create({ metadata: { name, labels }, spec: { podName: 'a' } }, namespace);
  }
  const query = { namespace, labelSelector: 'in=pages', limit: 1 };
  const first = await migrations.list(query);
  // The token is the server's own business, but this much of it has been the same for years.
  const token = JSON.parse(Buffer.from(first.metadata.continue!, 'base64url').toString()) as { rv: number };
  assert.equal(String(token.rv), first.metadata.resourceVersion);
  const old = Buffer.from(JSON.stringify({ ...token, rv: 1 })).toString('base64url');
  const answer = await migrations.list({ ...query, continue: old }).catch(() => undefined);
  if (answer) return t.skip('The cluster is younger than its first compaction and has forgotten nothing.');
  const error = await refusal(migrations.list({ ...query, continue: old }));
  assert.deepEqual([error.code, error.reason], [410, 'Expired']);
  assert.match(error.message, /^The provided continue parameter is too old to display a consistent list/);
  const { metadata } = error.status as { metadata?: { continue?: string } };
  const rest = await migrations.list({ ...query, continue: metadata!.continue! });
  assert.deepEqual(
    rest.items.map((item) => item.metadata.name),
    ['page-2'],
  );
});
