import assert from 'node:assert/strict';
import { test } from 'node:test';
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
  const written: string[] = [];
  return {
    written,
    fail: (...errors: unknown[]) => (failures = errors),
    touch: () => {
      thing!.metadata = {
        ...thing!.metadata,
        resourceVersion: `${Number(thing!.metadata.resourceVersion) + 1}`,
      };
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
      this.touch();
      written.push(`${object.status?.phase} ${object.status?.message ?? ''}`.trim());
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
