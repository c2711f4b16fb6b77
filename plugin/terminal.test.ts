import assert from 'node:assert/strict';
import { test } from 'node:test';
import { abilities, paint } from './terminal.js';

const on = { stderr: { isTTY: true, columns: 120 }, stdout: { isTTY: true, columns: 120 }, plain: false };

test('rows are drawn again only where a terminal shows them', () => {
  assert.equal(abilities({ ...on, env: { TERM: 'xterm' } }).live, true);
  assert.equal(abilities({ ...on, env: { TERM: 'dumb' } }).live, false);
  assert.equal(abilities({ ...on, env: {}, plain: true }).live, false);
  assert.equal(abilities({ ...on, env: {}, stderr: {} }).live, false);
});

test('NO_COLOR takes the colours and leaves the rows', () => {
  const { live, color } = abilities({ ...on, env: { NO_COLOR: '1' } });
  assert.deepEqual({ live, color }, { live: true, color: false });
  assert.equal(abilities({ ...on, env: { NO_COLOR: '' } }).color, true);
  assert.equal(paint(false).red('x'), 'x');
});

test('--color decides where it is said, each stream by itself where it is not', () => {
  const colors = (more: object) => {
    const { color, colorOut } = abilities({ ...on, env: {}, ...more });
    return { color, colorOut };
  };
  assert.deepEqual(colors({ stdout: {} }), { color: true, colorOut: false });
  assert.deepEqual(colors({ stderr: {} }), { color: false, colorOut: true });
  const always = { color: 'always', stderr: {}, stdout: {}, env: { NO_COLOR: '1', TERM: 'dumb' } };
  assert.deepEqual(colors(always), { color: true, colorOut: true });
  assert.deepEqual(colors({ color: 'never' }), { color: false, colorOut: false });
});

test('with stdout in a file the rows are no wider than what listr2 leaves of them', () => {
  assert.equal(abilities({ ...on, env: {} }).columns, 120);
  assert.equal(abilities({ ...on, env: {}, stdout: {} }).columns, 80);
});
