import assert from 'node:assert/strict';
import { readFile, readdir } from 'node:fs/promises';
import { test } from 'node:test';
import { crdFile } from './crd.js';
import { KINDS } from './kinds.js';

const folder = new URL('../../manifests/crd/', import.meta.url);

test('manifests/crd holds exactly what the schemas say', async () => {
  const expected = Object.values(KINDS).map(crdFile);
  const found = await readdir(folder);
  assert.deepEqual(found.sort(), expected.map((file) => file.name).sort());
  for (const { name, text } of expected) {
    assert.equal(await readFile(new URL(name, folder), 'utf8'), text, `${name}: run npm run generate`);
  }
});

test('every field of every kind says what it means', () => {
  const undescribed: string[] = [];
  const walk = (schema: Record<string, unknown>, path: string): void => {
    const properties = (schema.properties ?? {}) as Record<string, Record<string, unknown>>;
    for (const [name, child] of Object.entries(properties)) {
      if (!child.description) undescribed.push(`${path}.${name}`);
      walk(child, `${path}.${name}`);
    }
    if (schema.items) walk(schema.items as Record<string, unknown>, `${path}[]`);
  };
  for (const info of Object.values(KINDS)) {
    walk(info.spec as unknown as Record<string, unknown>, `${info.kind}.spec`);
    walk(info.status as unknown as Record<string, unknown>, `${info.kind}.status`);
  }
  assert.deepEqual(undescribed, []);
});
