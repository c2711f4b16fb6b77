import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { chooseApiServer } from './cluster-api-server.js';
import { assetsFolder } from './kube-apiserver.js';
import { layoutOf } from './layout.js';

let folder: string;
const given = process.env.KUBEBUILDER_ASSETS;
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'lpm-assets-'));
  for (const name of ['etcd', 'kube-apiserver']) writeFileSync(join(folder, name), '');
});
after(() => {
  rmSync(folder, { recursive: true });
  choose(given);
});

function choose(assets: string | undefined): void {
  if (assets === undefined) delete process.env.KUBEBUILDER_ASSETS;
  else process.env.KUBEBUILDER_ASSETS = assets;
}

test('the programs of a real API server are taken from the folder that the environment names', () => {
  assert.equal(assetsFolder({}), undefined);
  assert.equal(assetsFolder({ KUBEBUILDER_ASSETS: '' }), undefined);
  assert.equal(assetsFolder({ KUBEBUILDER_ASSETS: folder }), folder);
});

test('a folder that lacks one of them is refused in a sentence that names it', () => {
  assert.throws(
    () => assetsFolder({ KUBEBUILDER_ASSETS: tmpdir() }),
    /^Error: KUBEBUILDER_ASSETS is \S+, where there is no etcd and no kube-apiserver\. Unset it/,
  );
});

test('a cluster keeps the API server with which it was made', () => {
  const layout = layoutOf('/tmp/c');
  const small = { root: '', port: 0, processes: {} };
  choose(undefined);
  assert.equal(chooseApiServer(layout, undefined), undefined);
  assert.equal(chooseApiServer(layout, { ...small, assets: folder }), folder);
  choose(folder);
  assert.equal(chooseApiServer(layout, undefined), folder);
  assert.equal(chooseApiServer(layout, { ...small, assets: folder }), folder);
  assert.throws(
    () => chooseApiServer(layout, small),
    /was made with the small API server\. Take it down first/,
  );
});
