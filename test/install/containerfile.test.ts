/** What is read from the Containerfiles, so that a build of ours and one of buildah's alone make the same image. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { baseOf, copiedLast } from '../../manifests/images/containerfile.js';
import { repository } from '../cluster/paths.js';

const read = (file: string): string => readFileSync(join(repository, file), 'utf8');

test('the last stage of each Containerfile copies our programs', () => {
  assert.deepEqual(copiedLast(read('controller/Containerfile')), [
    { from: 'dist/controller.mjs', to: '/app/controller.mjs' },
  ]);
  assert.deepEqual(copiedLast(read('agent/Containerfile')), [
    { from: 'dist/agent.mjs', to: '/app/agent.mjs' },
    { from: 'dist/lpm-runtime', to: '/opt/lpm/bin/lpm-runtime' },
  ]);
});

test('the base is all before that', () => {
  for (const file of ['controller/Containerfile', 'agent/Containerfile']) {
    const base = baseOf(read(file));
    assert.match(base, /^FROM scratch AS base$/m);
    assert.match(base, /^ENTRYPOINT /m);
    assert.doesNotMatch(base.replace(/^#.*$/gm, ''), /dist\//);
  }
});

test('a last stage that does more is refused, for it would be left out of the image', () => {
  assert.throws(() => copiedLast('FROM base\nCOPY a /a\nENV A=1\n'), /may only copy files.*"ENV A=1"/);
  assert.throws(() => copiedLast('FROM base\nCOPY --chown=1 a /a\n'), /may only copy files/);
  assert.throws(() => copiedLast('FROM scratch\nCOPY a /a\n'), /begins with "FROM scratch"/);
});
