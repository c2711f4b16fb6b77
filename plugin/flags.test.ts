import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UsageError } from './cli-error.js';
import { normalize } from './normalize.js';
import { nameFor } from './object-name.js';
import { isExplicitPod } from './pod-argument.js';
import { readSubjects } from './pods/subject.js';
import { calledAs } from './programs.js';

test('-v takes a level as kubectl does, and alone it never swallows the pod', () => {
  assert.deepEqual(normalize(['-v', 'counter']), ['--v=1', 'counter']);
  for (const form of [['-v=6'], ['-v6'], ['-v', '6'], ['--v=6'], ['--v', '6']]) {
    assert.deepEqual(normalize([...form, 'counter']), ['--v=6', 'counter']);
  }
  assert.deepEqual(normalize(['--', '-v']), ['--', '-v']);
});

test('a flag of one letter takes its value without a space, and a bare --dry-run swallows nothing', () => {
  assert.deepEqual(normalize(['-nshop', '-ojson', '-A', '-w']), ['-n=shop', '-o=json', '-A', '-w']);
  assert.deepEqual(normalize(['-o=json', '-n', 'shop']), ['-o=json', '-n', 'shop']);
  assert.deepEqual(normalize(['--dry-run', 'counter']), ['--dry-run=server', 'counter']);
  assert.deepEqual(normalize(['--dry-run', 'client', 'counter']), ['--dry-run=client', 'counter']);
  assert.deepEqual(normalize(['--dry-run=client']), ['--dry-run=client']);
});

test('a pod is named in any of kubectl’s ways, also one that is named like a command', () => {
  const read = (...words: string[]) => readSubjects(words, undefined, []);
  const names = (...words: string[]) => read(...words).map((each) => each.of === 'pod' && each.name);
  assert.deepEqual(names('counter'), ['counter']);
  assert.deepEqual(names('pod/counter'), ['counter']);
  assert.deepEqual(names('pods', 'counter'), ['counter']);
  assert.deepEqual(names('pod/list'), ['list']);
  assert.deepEqual(names('pod/pod'), ['pod']);
  assert.deepEqual(names('pod', 'a', 'b'), ['a', 'b']);
  assert.deepEqual(read('deploy/web'), [{ of: 'workload', type: 'deployment', name: 'web' }]);
  assert.ok(isExplicitPod('pod/list') && !isExplicitPod('list'));
  for (const words of [[], [''], ['pod'], ['pod/'], ['a', 'b']]) {
    assert.throws(() => read(...words), UsageError, words.join(' '));
  }
});

test('generated names are names that Kubernetes takes, however long the pod’s is', () => {
  assert.match(nameFor('counter'), /^counter-[bcdfghjklmnpqrstvwxz2-9]{5}$/);
  const long = nameFor(`${'a'.repeat(56)}.${'b'.repeat(100)}`, () => 0);
  assert.equal(long, `${'a'.repeat(56)}-bbbbb`);
  assert.ok(nameFor('a'.repeat(253)).length <= 63);
});

test('the program is chosen by the name of its link', () => {
  const program = (path: string, ...args: string[]) => calledAs(path, args).program;
  assert.equal(program('/usr/local/bin/kubectl-checkpoint'), 'kubectl-checkpoint');
  assert.equal(program('/x/dist/kubectl-checkpoint.mjs'), 'kubectl-checkpoint');
  assert.equal(program('/x/dist/kubectl-migrate.mjs'), 'kubectl-migrate');
  assert.equal(program('/tmp/built.mjs', 'checkpoint'), 'kubectl-migrate');
});

test('as kubectl-lpm it is both, by the first word', () => {
  const lpm = '/usr/local/bin/kubectl-lpm';
  const checkpoint = { program: 'kubectl-checkpoint', written: 'kubectl lpm checkpoint', args: ['pod', 'a'] };
  assert.deepEqual(calledAs(lpm, ['checkpoint', 'pod', 'a']), checkpoint);
  const migrate = { program: 'kubectl-migrate', written: 'kubectl lpm migrate', args: ['a', '--to', 'b'] };
  assert.deepEqual(calledAs(lpm, ['migrate', 'a', '--to', 'b']), migrate);
  assert.deepEqual(calledAs(lpm, ['--help']), { ...migrate, args: ['--help'] });
});
