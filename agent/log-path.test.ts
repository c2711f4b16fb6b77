import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { LpmError } from '../common/errors.js';
import { waitingLogPath } from './log-path.js';

const containerId = '8b89f82a5741dfb25c22de7d6a60127a2484e696b8614647b33dc02bcc64934a';
const crioLog =
  '/var/log/pods/default_counter-migration-test_20d1a3de-a8bf-4ccd-b980-374a031c3c16/counter/0.log';

/** What CRI-O 1.36 had written when it called `create`, as far as it matters. */
const annotations = {
  'io.container.manager': 'cri-o',
  'io.kubernetes.container.name': 'counter',
  'io.kubernetes.cri-o.ContainerID': containerId,
  'io.kubernetes.cri-o.LogPath': crioLog,
};

const host = { path: (onNode: string): string => onNode };

/** What CRI-O 1.36 answers while it is creating a container. */
const notYetCreated = (): Promise<never> =>
  Promise.reject(
    new LpmError(
      'ContainerNotFound',
      `The runtime says: could not find container "${containerId}": specified container ${containerId} is not yet created`,
    ),
  );

test('of a container that CRI-O is still creating, the bundle tells where its log is', async (t) => {
  const bundle = mkdtempSync(join(tmpdir(), 'lpm-bundle-'));
  t.after(() => rmSync(bundle, { recursive: true }));
  writeFileSync(join(bundle, 'config.json'), JSON.stringify({ annotations }));
  const handler = { containerId, bundle };

  assert.equal(await waitingLogPath(host, { containerInfo: notYetCreated }, handler), crioLog);
});

test('where the runtime knows the container, nothing is believed that a pod may have written', async (t) => {
  const bundle = mkdtempSync(join(tmpdir(), 'lpm-bundle-'));
  t.after(() => rmSync(bundle, { recursive: true }));
  const evil = { ...annotations, 'io.kubernetes.cri-o.LogPath': '/etc/passwd' };
  writeFileSync(join(bundle, 'config.json'), JSON.stringify({ annotations: evil }));
  const handler = { containerId, bundle };
  const known = {
    containerInfo: () => Promise.resolve({ logPath: '/var/log/pods/x/0.log', terminal: false }),
  };

  assert.equal(await waitingLogPath(host, known, handler), '/var/log/pods/x/0.log');
});

test('a runtime that does not answer is not taken for one that does not know', async () => {
  const containerInfo = (): Promise<never> =>
    Promise.reject(new LpmError('RuntimeUnavailable', 'The container runtime does not answer.'));
  await assert.rejects(waitingLogPath(host, { containerInfo }, { containerId, bundle: '/nowhere' }), {
    reason: 'RuntimeUnavailable',
  });
});
