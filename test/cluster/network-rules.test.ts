import assert from 'node:assert/strict';
import { test } from 'node:test';
import { linkEnds } from './network-rules.js';

/** place device: incoming matches | … */
const ends = (a: string, b: string): string[] =>
  linkEnds(a, b).map(({ place, device, incoming }) => {
    const matches = incoming.map((words) => words.join(' ')).join(' | ');
    return `${place === 'lab' ? 'lab' : place.node} ${device}: ${matches}`;
  });
const ports = (list: string): string => `-p tcp -m multiport --ports ${list}`;

test('between two nodes everything counts, their pods too', () => {
  assert.deepEqual(ends('k8s-master', 'k8s-worker'), [
    'k8s-master eth0: -s 10.88.0.20/32 | -s 10.244.20.0/24',
    'k8s-worker eth0: -s 10.88.0.10/32 | -s 10.244.10.0/24',
  ]);
});

test('API server and controller share an address and are told apart by ports', () => {
  assert.deepEqual(ends('k8s-worker', 'api-server'), [
    `lab lpm0: -s 10.88.0.20/32 ${ports('6443,10250')} | -s 10.244.20.0/24 ${ports('6443,10250')}`,
    `k8s-worker eth0: -s 10.88.0.1 ${ports('6443,10250')}`,
  ]);
  assert.deepEqual(
    ends('controller', 'agent/k8s-worker')[1],
    `k8s-worker eth0: -s 10.88.0.1 ${ports('50051,50052')}`,
  );
  assert.deepEqual(ends('controller', 'api-server'), [`lab lo: -i lo -d 10.88.0.1 ${ports('6443')}`]);
});

test('between two agents only their own ports count', () => {
  assert.match(
    ends('agent/k8s-master', 'agent/k8s-worker')[0] ?? '',
    /^k8s-master eth0: .*--ports 50051,50052/,
  );
});

for (const [a, b, message] of [
  ['k8s-worker', 'k8s-worker', /not two ends/],
  ['api-server', 'api-server', /not two ends/],
  ['agent/k8s-worker', 'k8s-worker', /not two ends/],
  ['agent/k8s-worker', 'api-server', /do not talk/],
  ['k8s-worker', 'etcd', /There is no etcd .* there are k8s-master, k8s-worker, api-server/],
] as const) {
  test(`there is no link between ${a} and ${b}`, () => assert.throws(() => linkEnds(a, b), message));
}
