import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Schema } from './schema/schema.js';
import { startTestApiServer, type TestApiServer } from './testing.js';
import { eventually, TestClient } from './testing-client.js';

const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';

function definition(plural: string, spec: Schema, version: object = {}): object {
  const kind = plural[0]!.toUpperCase() + plural.slice(1, -1);
  return {
    metadata: { name: `${plural}.example.com` },
    spec: {
      group: 'example.com',
      scope: 'Namespaced',
      names: { plural, kind },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: {
            openAPIV3Schema: {
              type: 'object',
              properties: { spec, status: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
            },
          },
          ...version,
        },
      ],
    },
  };
}

describe('custom resources', () => {
  let server: TestApiServer;
  let client: TestClient;
  before(async () => {
    server = await startTestApiServer({ crds: false });
    client = new TestClient(server);
  });
  after(async () => {
    client.close();
    await server.close();
  });

  /** Defines a kind and returns how to create one. */
  async function define(plural: string, spec: Schema, version: object = {}) {
    const { code, body } = await client.post(definitions, definition(plural, spec, version));
    assert.equal(code, 201, body?.message);
    const path = `/apis/example.com/v1/namespaces/default/${plural}`;
    const kind = plural[0]!.toUpperCase() + plural.slice(1, -1);
    const object = (name: string, fields: unknown, more: object = {}) => ({
      apiVersion: 'example.com/v1',
      kind,
      metadata: { name },
      spec: fields,
      ...more,
    });
    return {
      path,
      object,
      create: (name: string, fields: unknown, query = '', more: object = {}) =>
        client.post(path + query, object(name, fields, more)),
    };
  }

  test('a definition is established and served at once', async () => {
    const { body } = await client.post(definitions, definition('quicks', { type: 'object' }));
    assert.deepEqual(
      body.status.conditions.map((one: { type: string; status: string }) => `${one.type}=${one.status}`),
      ['NamesAccepted=True', 'Established=True'],
    );
    assert.equal((await client.get('/apis/example.com/v1/quicks')).code, 200);
    const { body: resources } = await client.get('/apis/example.com/v1');
    assert.ok(resources.resources.some((one: { name: string }) => one.name === 'quicks'));
  });

  test('fields come back in the order of the alphabet, as from a real API server', async () => {
    const { create } = await define('orders', {
      type: 'object',
      'x-kubernetes-preserve-unknown-fields': true,
    });
    const { body } = await create('one', { z: 1, a: [{ name: 'n', items: [3, 1] }] });
    assert.equal(JSON.stringify(body.spec), '{"a":[{"items":[3,1],"name":"n"}],"z":1}');
  });

  test('every kind of wrong value is named', async () => {
    const { create } = await define('checks', {
      type: 'object',
      required: ['needed'],
      properties: {
        needed: { type: 'string' },
        short: { type: 'string', maxLength: 3, minLength: 2 },
        pattern: { type: 'string', pattern: '^a+$' },
        time: { type: 'string', format: 'date-time' },
        number: { type: 'integer', minimum: 1, maximum: 9, multipleOf: 2 },
        few: { type: 'array', maxItems: 1, items: { type: 'string' } },
        set: { type: 'array', 'x-kubernetes-list-type': 'set', items: { type: 'string' } },
        map: {
          type: 'array',
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['name'],
          items: { type: 'object', properties: { name: { type: 'string' } } },
        },
        port: { 'x-kubernetes-int-or-string': true },
        flag: { type: 'boolean' },
      },
    });
    const wrong: [object, string][] = [
      [{}, 'spec.needed: Required value'],
      [{ short: 'toolong' }, 'spec.short: Too long: may not be more than 3 bytes'],
      [{ short: 'a' }, 'spec.short: Invalid value: "a": spec.short in body should be at least 2 chars long'],
      [{ pattern: 'b' }, `spec.pattern: Invalid value: "b": spec.pattern in body should match '^a+$'`],
      [
        { time: 'noon' },
        'spec.time: Invalid value: "noon": spec.time in body must be of type date-time: "noon"',
      ],
      [
        { number: 0 },
        'spec.number: Invalid value: 0: spec.number in body should be greater than or equal to 1',
      ],
      [
        { number: 10 },
        'spec.number: Invalid value: 10: spec.number in body should be less than or equal to 9',
      ],
      [{ number: 3 }, 'spec.number: Invalid value: 3: spec.number in body should be a multiple of 2'],
      [
        { number: 'x' },
        'spec.number: Invalid value: "string": spec.number in body must be of type integer: "string"',
      ],
      [{ few: ['a', 'b'] }, 'spec.few: Too many: 2: must have at most 1 items'],
      [{ set: ['a', 'a'] }, 'spec.set[1]: Duplicate value: "a"'],
      [{ map: [{ name: 'a' }, { name: 'a' }] }, 'spec.map[1]: Duplicate value: {"name":"a"}'],
      [
        { port: true },
        'spec.port: Invalid value: "boolean": spec.port in body must be of type integer,string: "boolean"',
      ],
      [{ flag: null }, 'spec.flag: Invalid value: "null": spec.flag in body must be of type boolean: "null"'],
    ];
    for (const [fields, message] of wrong) {
      const { code, body } = await create(
        'wrong',
        Object.keys(fields).length === 0 ? {} : { needed: 'x', ...fields },
      );
      assert.equal(code, 422, message);
      assert.equal(body.message, `Check.example.com "wrong" is invalid: ${message}`);
      assert.equal(body.details.causes[0].message, message.slice(message.indexOf(': ') + 2));
    }
  });

  test('defaults are filled in, deep down too, and unknown fields are dropped', async () => {
    const { create } = await define('fills', {
      type: 'object',
      properties: {
        size: { type: 'integer', default: 3 },
        inner: { type: 'object', default: {}, properties: { a: { type: 'string', default: 'x' } } },
        list: {
          type: 'array',
          items: { type: 'object', properties: { b: { type: 'boolean', default: true } } },
        },
        free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
      },
    });
    const { body, headers } = await create('filled', { list: [{}], free: { any: 1 }, extra: 1 });
    assert.deepEqual(body.spec, { size: 3, inner: { a: 'x' }, list: [{ b: true }], free: { any: 1 } });
    assert.equal(headers['warning'], '299 - "unknown field \\"spec.extra\\""');
    const strict = await create('strict', { extra: 1 }, '?fieldValidation=Strict');
    assert.equal(strict.code, 400);
    assert.match(strict.body.message, /strict decoding error: unknown field "spec\.extra"/);
    const ignored = await create('ignored', { extra: 1 }, '?fieldValidation=Ignore');
    assert.equal(ignored.headers['warning'], undefined);
  });

  test('rules are evaluated, also those about the transition, and only where they apply', async () => {
    const { create, path, object } = await define('rules', {
      type: 'object',
      'x-kubernetes-validations': [
        { rule: 'self.min <= self.max', message: 'min must not exceed max', fieldPath: '.min' },
        { rule: 'oldSelf.name == self.name', message: 'name is immutable' },
        { rule: 'has(self.done) || !has(oldSelf.done)', message: 'done stays' },
        { rule: 'self.max < 100', messageExpression: '"max is " + string(self.max)' },
      ],
      properties: {
        name: { type: 'string' },
        min: { type: 'integer' },
        max: { type: 'integer' },
        done: { type: 'boolean' },
        items: {
          type: 'array',
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['key'],
          items: {
            type: 'object',
            properties: {
              key: { type: 'string' },
              value: {
                type: 'string',
                'x-kubernetes-validations': [
                  { rule: 'self == oldSelf', reason: 'FieldValueForbidden', message: 'fixed' },
                ],
              },
            },
          },
        },
      },
    });
    const bad = await create('bad', { name: 'a', min: 5, max: 2 });
    assert.equal(
      bad.body.message,
      'Rule.example.com "bad" is invalid: spec.min: Invalid value: "object": min must not exceed max',
    );
    const huge = await create('huge', { name: 'a', min: 5, max: 200 });
    assert.match(huge.body.message, /max is 200/);
    const { body: good } = await create('good', {
      name: 'a',
      min: 1,
      max: 2,
      done: true,
      items: [{ key: 'k', value: 'v' }],
    });
    const change = (fields: object) =>
      client.put(`${path}/good`, { ...good, spec: { ...good.spec, ...fields } });
    assert.match((await change({ name: 'b' })).body.message, /name is immutable/);
    assert.match((await change({ done: undefined })).body.message, /done stays/);
    assert.match(
      (await change({ items: [{ key: 'k', value: 'w' }] })).body.message,
      /spec\.items\[0\]\.value: Forbidden: fixed/,
    );
    assert.equal((await change({ items: [{ key: 'other', value: 'w' }], max: 3 })).code, 200);
    const unversioned = await client.put(`${path}/good`, object('good', good.spec));
    assert.match(
      unversioned.body.message,
      /metadata\.resourceVersion: Invalid value: 0: must be specified for an update/,
    );
  });

  test('a rule that cannot be compiled is refused with the definition', async () => {
    const rules: [string, RegExp][] = [
      [
        'self.nope == 1',
        /spec\.versions\[0\]\.schema\.openAPIV3Schema\.properties\[spec\]\.x-kubernetes-validations\[0\]\.rule: Invalid value: "self\.nope == 1": compilation failed: undefined field 'nope'/,
      ],
      ['self.known ==', /compilation failed/],
      ['unknown(self.known)', /compilation failed/],
    ];
    for (const [rule, message] of rules) {
      const spec: Schema = {
        type: 'object',
        properties: { known: { type: 'string' } },
        'x-kubernetes-validations': [{ rule }],
      };
      const { code, body } = await client.post(definitions, definition('brokens', spec));
      assert.equal(code, 422);
      assert.match(body.message, message);
    }
  });

  test('status is written apart and bumps no generation', async () => {
    const { create, path } = await define(
      'parts',
      { type: 'object', properties: { a: { type: 'integer' } } },
      { subresources: { status: {} } },
    );
    const { body: created } = await create('one', { a: 1 }, '', { status: { phase: 'Sneaked' } });
    assert.equal(created.status, undefined);
    assert.equal(created.metadata.generation, 1);
    const status = await client.patch(`${path}/one/status`, 'merge', {
      spec: { a: 9 },
      metadata: { labels: { l: '1' } },
      status: { phase: 'Done' },
    });
    assert.deepEqual(status.body.spec, { a: 1 });
    assert.deepEqual(status.body.status, { phase: 'Done' });
    assert.equal(status.body.metadata.labels, undefined);
    assert.equal(status.body.metadata.generation, 1);
    const main = await client.patch(`${path}/one`, 'merge', { spec: { a: 2 }, status: { phase: 'Other' } });
    assert.equal(main.body.status.phase, 'Done');
    assert.equal(main.body.metadata.generation, 2);
    const strategic = await client.patch(`${path}/one`, 'strategic-merge', {});
    assert.equal(strategic.code, 415);
  });

  test('scale is served where the definition says so', async () => {
    const { create, path } = await define(
      'scales',
      { type: 'object', properties: { replicas: { type: 'integer' } } },
      {
        subresources: {
          status: {},
          scale: { specReplicasPath: '.spec.replicas', statusReplicasPath: '.status.replicas' },
        },
      },
    );
    await create('one', { replicas: 1 });
    await client.patch(`${path}/one/scale`, 'merge', { spec: { replicas: 4 } });
    assert.equal((await client.get(`${path}/one`)).body.spec.replicas, 4);
  });

  test('the objects go before their definition, and with it its paths', async () => {
    const { create, path } = await define('shorts', { type: 'object' });
    await create('held', {}, '', { metadata: { name: 'held', finalizers: ['example.com/hold'] } });
    await client.delete(`${definitions}/shorts.example.com`);
    const held = await eventually(
      async () => (await client.get(`${path}/held`)).body,
      (body) => body.metadata.deletionTimestamp !== undefined,
    );
    assert.equal(held.kind, 'Short');
    assert.equal((await client.get(`${definitions}/shorts.example.com`)).code, 200);
    await client.patch(`${path}/held`, 'merge', { metadata: { finalizers: null } });
    await eventually(
      async () => (await client.get(`${definitions}/shorts.example.com`)).code,
      (code) => code === 404,
    );
    assert.equal((await client.get(path)).code, 404);
  });
});

test('the definitions of this repository are accepted as they are', async () => {
  const server = await startTestApiServer();
  const client = new TestClient(server);
  try {
    const { body } = await client.get('/apis/lpm.my.domain/v1');
    const kinds = body.resources.map((one: { kind: string }) => one.kind);
    assert.ok(kinds.includes('PodMigration'));
    assert.ok(kinds.includes('ContainerCheckpointContent'));
  } finally {
    client.close();
    await server.close();
  }
});
