import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LpmError } from '../../common/errors.js';
import { ApiError } from '../../common/kube/api-error.js';
import { StatusRecorder } from './recorder.js';

interface Thing {
  metadata: { name: string; uid: string; resourceVersion: string };
  status?: { phase?: string; message?: string };
}

/** A store with resource versions, as far as a recorder sees one. */
function store(latencyMs = 1) {
  let thing: Thing | undefined = { metadata: { name: 'a', uid: 'u', resourceVersion: '1' } };
  let failures: unknown[] = [];
  let answerLost = false;
  const written: string[] = [];
  const bump = () => {
    const { metadata } = thing!;
    thing!.metadata = { ...metadata, resourceVersion: `${Number(metadata.resourceVersion) + 1}` };
  };
  return {
    written,
    fail: (...errors: unknown[]) => (failures = errors),
    /** The next write arrives, its answer does not. */
    loseAnswer: () => (answerLost = true),
    touch: () => bump(),
    /** Somebody else's write. */
    overwrite: (status: Thing['status']) => {
      thing = { ...thing!, ...(status ? { status } : {}) };
      bump();
    },
    remove: () => (thing = undefined),
    read: () => structuredClone(thing!),
    find: () => Promise.resolve(structuredClone(thing)),
    async replaceStatus(object: Thing): Promise<Thing> {
      await new Promise((resolve) => setTimeout(resolve, latencyMs));
      const failure = failures.shift();
      if (failure) throw failure;
      if (!thing) throw new ApiError(404, 'NotFound', 'gone');
      if (object.metadata.resourceVersion !== thing.metadata.resourceVersion) {
        throw new ApiError(409, 'Conflict', 'changed');
      }
      thing = structuredClone(object);
      bump();
      written.push(`${object.status?.phase} ${object.status?.message ?? ''}`.trim());
      if (answerLost) {
        answerLost = false;
        throw new Error('connection reset');
      }
      return this.read();
    },
  };
}

test('every phase is written, in order; of progress only the newest', async () => {
  const api = store();
  const recorder = new StatusRecorder<Thing>(api.read(), api, { progressMs: 20 });
  recorder.record({ phase: 'A' });
  recorder.record({ phase: 'B', message: '1' });
  for (let i = 2; i < 100; i += 1) recorder.record({ phase: 'B', message: String(i) });
  recorder.record({ phase: 'C' });
  await recorder.flush();
  assert.deepEqual(api.written, ['A', 'B 99', 'C']);
});

test('a conflict is read again and written, a network error is tried again', async () => {
  const api = store();
  const recorder = new StatusRecorder<Thing>(api.read(), api);
  api.touch();
  api.fail(new Error('connection reset'));
  recorder.record({ phase: 'A' });
  await recorder.flush();
  assert.deepEqual(api.written, ['A']);
});

test('what the API server refuses is told to who waits for it, and does not block what comes after', async () => {
  const api = store();
  const recorder = new StatusRecorder<Thing>(api.read(), api);
  api.fail(new ApiError(422, 'Invalid', 'no such phase'));
  recorder.record({ phase: 'Wrong' });
  await assert.rejects(recorder.flush(), /no such phase/);
  recorder.record({ phase: 'Right' });
  await recorder.flush();
  assert.deepEqual(api.written, ['Right']);
});

test('an object that is gone ends the writing, not the caller', async () => {
  const api = store();
  const recorder = new StatusRecorder<Thing>(api.read(), api);
  api.remove();
  recorder.record({ phase: 'A' });
  await recorder.flush();
  assert.equal(recorder.gone, true);
  recorder.record({ phase: 'B' });
  await recorder.flush();
  assert.equal(recorder.status?.phase, 'B');
  assert.deepEqual(api.written, []);
});

test('a status that somebody else has written is never written over, and who waits is told', async () => {
  const api = store();
  let told = 0;
  const recorder = new StatusRecorder<Thing>(api.read(), api, { onSuperseded: () => (told += 1) });
  recorder.record({ phase: 'A' });
  await recorder.flush();
  api.overwrite({ phase: 'Theirs' });
  recorder.record({ phase: 'B' });
  recorder.record({ phase: 'C' });
  await assert.rejects(recorder.flush(), /status of a was written by somebody else/);
  assert.equal(recorder.superseded, true);
  recorder.record({ phase: 'D' });
  await assert.rejects(recorder.flush(), /somebody else/);
  assert.equal(told, 1);
  assert.equal(api.read().status?.phase, 'Theirs');
  assert.deepEqual(api.written, ['A']);
});

test('a status that was removed by somebody else is not put back', async () => {
  const api = store();
  const recorder = new StatusRecorder<Thing>(api.read(), api);
  recorder.record({ phase: 'A' });
  await recorder.flush();
  api.overwrite({});
  recorder.record({ phase: 'B' });
  await assert.rejects(recorder.flush(), /somebody else/);
  assert.deepEqual(api.read().status, {});
});

test('a write whose answer was lost is known again as our own', async () => {
  const api = store();
  const recorder = new StatusRecorder<Thing>(api.read(), api);
  api.loseAnswer();
  recorder.record({ phase: 'A' });
  recorder.record({ phase: 'B' });
  await recorder.flush();
  assert.deepEqual(api.written, ['A', 'B']);
  assert.equal(recorder.superseded, false);
});

test('a write whose answer was lost is known again although a newer status waits in its place', async () => {
  const api = store(20);
  const recorder = new StatusRecorder<Thing>(api.read(), api);
  api.loseAnswer();
  recorder.record({ phase: 'A', message: '1' });
  await new Promise((resolve) => setTimeout(resolve, 5));
  recorder.record({ phase: 'A', message: '2' });
  await recorder.flush();
  assert.deepEqual(api.written, ['A 1', 'A 2']);
});

test('a newer version whose status is ours is taken over, another is not', async () => {
  const api = store();
  const recorder = new StatusRecorder<Thing>(api.read(), api);
  recorder.record({ phase: 'A' });
  await recorder.flush();
  api.touch();
  recorder.adopt(api.read());
  assert.equal(recorder.object.metadata.resourceVersion, '3');
  api.overwrite({ phase: 'Theirs' });
  recorder.adopt(api.read());
  assert.equal(recorder.superseded, true);
  assert.equal(recorder.object.metadata.resourceVersion, '3');
});

test('a process that may not act any more writes nothing more', async () => {
  const api = store();
  const recorder = new StatusRecorder<Thing>(api.read(), api);
  api.fail(new LpmError('NotLeader', 'Another replica acts.'));
  recorder.record({ phase: 'A' });
  await assert.rejects(recorder.flush(), /Another replica acts/);
  recorder.record({ phase: 'B' });
  await assert.rejects(recorder.flush(), /Another replica acts/);
  assert.deepEqual(api.written, []);
});
