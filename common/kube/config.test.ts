import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, before, test } from 'node:test';
import { currentNamespace, kubeconfigFiles, loadKubeConfig } from './config.js';

let folder = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lpm-kubeconfig-'));
});
after(() => rm(folder, { recursive: true }));

async function kubeconfig(name: string, server: string, current = 'c'): Promise<string> {
  const file = join(folder, name);
  await writeFile(
    file,
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'k', cluster: { server } }],
      users: [{ name: 'u', user: { token: `token-of-${name}` } }],
      contexts: [
        { name: 'c', context: { cluster: 'k', user: 'u', namespace: `ns-${name}` } },
        { name: `only-${name}`, context: { cluster: 'k', user: 'u' } },
      ],
      'current-context': current,
    }),
  );
  return file;
}

test('--kubeconfig goes before KUBECONFIG, which goes before ~/.kube/config', () => {
  assert.deepEqual(kubeconfigFiles('f', { KUBECONFIG: 'a' }), ['f']);
  assert.deepEqual(kubeconfigFiles(undefined, { KUBECONFIG: ['a', '', 'b'].join(delimiter) }), ['a', 'b']);
  assert.deepEqual(kubeconfigFiles(undefined, { HOME: '/h' }), ['/h/.kube/config']);
});

test('of entries with one name in several files the first counts, and contexts of all files are there', async () => {
  const files = [
    await kubeconfig('one', 'https://one:1'),
    join(folder, 'missing'),
    await kubeconfig('two', 'https://two:2'),
  ];
  const config = loadKubeConfig({}, { KUBECONFIG: files.join(delimiter) });
  assert.equal(config.getCurrentCluster()?.server, 'https://one:1');
  assert.equal(config.getCurrentUser()?.token, 'token-of-one');
  assert.equal(currentNamespace(config), 'ns-one');
  assert.ok(config.getContextObject('only-two'));
});

test('flags override the context’s cluster and user, and the namespace stays', async () => {
  const file = await kubeconfig('flags', 'https://one:1');
  const config = loadKubeConfig({ kubeconfig: file, server: 'https://other:3', token: 't' });
  assert.equal(config.getCurrentCluster()?.server, 'https://other:3');
  assert.equal(config.getCurrentUser()?.token, 't');
  assert.equal(currentNamespace(config), 'ns-flags');
});

test('what cannot be found is named', async () => {
  const file = await kubeconfig('named', 'https://one:1');
  assert.throws(() => loadKubeConfig({ kubeconfig: join(folder, 'nope') }), /nope does not exist/);
  assert.throws(() => loadKubeConfig({ kubeconfig: file, context: 'x' }), /The context "x" does not exist/);
  assert.throws(() => loadKubeConfig({ kubeconfig: file, user: 'x' }), /The user "x" does not exist/);
  assert.throws(() => loadKubeConfig({}, { KUBECONFIG: join(folder, 'none') }), /No cluster is configured/);
  const broken = join(folder, 'broken');
  await writeFile(broken, '{');
  assert.throws(() => loadKubeConfig({ kubeconfig: broken }), /cannot be read/);
});

test('a server without TLS, such as kubectl proxy, can be used', async () => {
  const config = loadKubeConfig({ kubeconfig: await kubeconfig('plain', 'http://127.0.0.1:8001') });
  await config.applyToHTTPSOptions({});
});
