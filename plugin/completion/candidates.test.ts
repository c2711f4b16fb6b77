import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PROGRAMS } from '../programs.js';
import { candidates } from './candidates.js';

const of = (line: string) => candidates(PROGRAMS['kubectl-migrate'], line.split(' '), { checkpoints: false });
const words = (line: string) => of(line).words.map(({ word }) => word);
const objects = (line: string) => of(line).objects.map(({ kind, prefix }) => `${prefix}${kind}`);

test('the first word is a command or a pod', () => {
  assert.ok(words('').includes('status'));
  assert.deepEqual(words('sta'), ['status', 'statefulset/']);
  assert.deepEqual(objects(''), ['pods']);
  assert.deepEqual(objects('coun'), ['pods']);
});

test('a pod by its type is completed after the slash and after the word', () => {
  assert.deepEqual(objects('pod/co'), ['pod/pods']);
  assert.deepEqual(objects('pod '), ['pods']);
});

test('what has pods is completed by its type, and several of them', () => {
  assert.deepEqual(words('dep'), ['deployment/']);
  assert.deepEqual(objects('deploy/we'), ['deploy/deployments']);
  assert.deepEqual(objects('sts '), ['statefulsets']);
  assert.deepEqual(objects('pod a '), ['pods']);
  assert.deepEqual(objects('pod/a job/'), ['job/jobs']);
  assert.deepEqual(objects('pod/a we'), []);
});

test('containers are completed once the pod is known', () => {
  const containers = (line: string) =>
    candidates(PROGRAMS['kubectl-checkpoint'], line.split(' '), { checkpoints: true }).containersOf;
  assert.equal(containers('pod web -c '), 'web');
  assert.equal(containers('pod/web --container=a'), 'web');
  assert.equal(containers('web -n shop -c '), 'web');
  assert.equal(containers('deployment/web -c '), undefined);
  assert.equal(containers('pod a b -c '), undefined);
});

test('the beginnings of formats are completed', () => {
  assert.deepEqual(words('list -o jsonpath-a'), ['jsonpath-as-json=']);
  assert.ok(words('list -o ').includes('wide'));
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
