import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isArtifactPath } from './artifacts.js';

for (const path of [
  'checkpoint/pages-1.img',
  'checkpoint/descriptors.json',
  'rootfs-diff.tar',
  'volumes/data.tar',
  'container.log',
]) {
  test(`an artifact is called ${path}`, () => assert.ok(isArtifactPath(path)));
}
for (const path of [
  '../rootfs-diff.tar',
  'checkpoint/../../x',
  'checkpoint/..',
  'checkpoint/.hidden',
  'checkpoint/a/b',
  'checkpoint/',
  'volumes/../x.tar',
  'volumes/a b.tar',
  '/etc/passwd',
  'ready',
  '',
]) {
  test(`nothing of an artifact is called "${path}"`, () => assert.equal(isArtifactPath(path), false));
}
