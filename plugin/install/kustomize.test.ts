import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ManifestObject } from './bundled.js';
import { withComponent, withImages } from './kustomize.js';

const workload = (): ManifestObject => ({
  apiVersion: 'apps/v1',
  kind: 'DaemonSet',
  metadata: { name: 'agent' },
  spec: {
    template: {
      spec: {
        initContainers: [{ name: 'first', image: 'localhost/agent:latest' }],
        containers: [{ name: 'agent', image: 'localhost/agent:latest', args: ['--a'] }],
        volumes: [
          { name: 'state', hostPath: { path: '/s' } },
          { name: 'repo', hostPath: { path: '/r' } },
        ],
      },
    },
  },
});
const target = { kind: 'DaemonSet', name: 'agent' };
const podOf = (objects: ManifestObject[]) =>
  (
    objects[0]!['spec'] as {
      template: { spec: Record<string, { name: string; image: string; args: string[] }[]> };
    }
  ).template.spec;

test('a merge patch changes the item of the same name and takes away what is null', () => {
  const patch = {
    spec: {
      template: {
        spec: { volumes: [{ name: 'repo', hostPath: null, persistentVolumeClaim: { claimName: 'c' } }] },
      },
    },
  };
  const given = [workload()];
  const made = withComponent(given, { objects: [], patches: [{ target, patch }] });
  assert.deepEqual(podOf(made)['volumes'], [
    { name: 'repo', persistentVolumeClaim: { claimName: 'c' } },
    { name: 'state', hostPath: { path: '/s' } },
  ]);
  assert.deepEqual(given, [workload()], 'what was given is as it was');
});

test('a JSON patch adds to the end of a list', () => {
  const patch = [{ op: 'add' as const, path: '/spec/template/spec/containers/0/args/-', value: '--b' }];
  const made = withComponent([workload()], { objects: [], patches: [{ target, patch }] });
  assert.deepEqual(podOf(made)['containers']![0]!.args, ['--a', '--b']);
});

test('a patch of what is not there is an error, not a silence', () => {
  const patches = [{ target: { kind: 'Deployment', name: 'agent' }, patch: {} }];
  assert.throws(() => withComponent([workload()], { objects: [], patches }), /no Deployment agent/);
});

test('an image is replaced wherever it is used, whatever its tag', () => {
  const made = podOf(withImages([workload()], { 'localhost/agent': 'registry.example:5000/agent@sha256:1' }));
  assert.equal(made['containers']![0]!.image, 'registry.example:5000/agent@sha256:1');
  assert.equal(made['initContainers']![0]!.image, 'registry.example:5000/agent@sha256:1');
  assert.equal(
    podOf(withImages([workload()], { 'localhost/agent': undefined }))['containers']![0]!.image,
    'localhost/agent:latest',
  );
});
