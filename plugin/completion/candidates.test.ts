import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PROGRAMS } from '../programs.js';
import { candidates } from './candidates.js';

const of = (line: string) => candidates(PROGRAMS['kubectl-migrate'], line.split(' '), { checkpoints: false });
const words = (line: string) => of(line).words.map(({ word }) => word);
const objects = (line: string) => of(line).objects.map(({ kind, prefix }) => `${prefix}${kind}`);

test('the first word is a command or a pod', () => {
  assert.ok(words('').includes('status'));
  assert.deepEqual(words('sta'), ['status']);
  assert.deepEqual(objects(''), ['pods']);
  assert.deepEqual(objects('coun'), ['pods']);
});

test('a pod by its type is completed after the slash and after the word', () => {
  assert.deepEqual(objects('pod/co'), ['pod/pods']);
  assert.deepEqual(objects('pod '), ['pods']);
});

test('flags are completed, each once, with what they are about', () => {
  assert.deepEqual(words('counter --to'), ['--to', '--token']);
  assert.deepEqual(words('counter --to node-1 --to'), ['--token']);
  assert.ok(words('status --').includes('--watch'));
  assert.ok(!words('status --').includes('--to'));
});

test('the value of a flag is completed by its kind, apart and after an equals sign', () => {
  assert.deepEqual(objects('counter --to '), ['nodes']);
  assert.deepEqual(objects('counter --to=k8s'), ['--to=nodes']);
  assert.deepEqual(objects('counter -n '), ['namespaces']);
  assert.deepEqual(words('counter --tcp '), ['close', 'refuse']);
  assert.deepEqual(words('counter --tcp=r'), ['--tcp=refuse']);
  assert.equal(of('counter --context ').config, 'get-contexts');
  assert.equal(of('counter --kubeconfig ').files, true);
  assert.deepEqual(objects('counter --timeout '), []);
});

test('a flag with a value does not hide the command behind it', () => {
  assert.deepEqual(objects('-n shop status '), ['podmigrations.lpm.my.domain', 'pods']);
  assert.deepEqual(objects('counter --plain '), []);
});

test('after the words that a command takes nothing follows', () => {
  assert.deepEqual(objects('counter '), []);
  assert.deepEqual(words('counter '), []);
  assert.deepEqual(words('counter -- --t'), []);
});

test('checkpoints are completed for the other program', () => {
  const found = candidates(PROGRAMS['kubectl-checkpoint'], [''], { checkpoints: true });
  assert.deepEqual(found.objects, [{ kind: 'pods', prefix: '' }]);
});
