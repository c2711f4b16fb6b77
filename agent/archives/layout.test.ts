import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LpmError } from '../../common/errors.js';
import { ArchiveCompression } from '../../proto/gen/lpm/v1/agent.js';
import {
  isKubeletFile,
  isRepositoryFile,
  kubeletFile,
  nodeUri,
  parseArchiveUri,
  repositoryFile,
  sharedUri,
  stampOf,
  suffixOf,
} from './layout.js';

const uid = '8c4d2f0e-3b1a-4c5d-9e6f-7a8b9c0d1e2f';
const pod = { namespace: 'default', name: 'web-0.example', uid };
const stamp = stampOf(new Date('2026-01-02T03:04:05.678Z'));

test('archives are called as the guide has it, in whole seconds of UTC', () => {
  assert.equal(stamp, '2026-01-02T03:04:05Z');
  assert.equal(
    kubeletFile(pod, 'nginx', stamp, '.tar'),
    'checkpoint-web-0.example_default-nginx-2026-01-02T03:04:05Z.tar',
  );
  assert.equal(repositoryFile(pod, 'nginx', stamp, '.tar'), `${uid}-nginx-2026-01-02T03:04:05Z.tar`);
});

test('what was done to an archive stands at the end of its name', () => {
  const { ARCHIVE_COMPRESSION_GZIP, ARCHIVE_COMPRESSION_NONE, ARCHIVE_COMPRESSION_ZSTD } = ArchiveCompression;
  assert.equal(suffixOf(ARCHIVE_COMPRESSION_NONE, false), '.tar');
  assert.equal(suffixOf(ARCHIVE_COMPRESSION_GZIP, false), '.tar.gz');
  assert.equal(suffixOf(ARCHIVE_COMPRESSION_ZSTD, true), '.tar.zst.age');
});

test('every name that is made is one that is read, also of the longest pod', () => {
  const long = { ...pod, name: `a${'b'.repeat(251)}c`, namespace: 'n'.repeat(63) };
  for (const each of [pod, long]) {
    const file = kubeletFile(each, 'c'.repeat(63), stamp, '.tar.zst.age');
    assert.ok(file.length <= 255 && isKubeletFile(file), file);
    assert.deepEqual(parseArchiveUri(nodeUri(file)), { where: 'node', file });
    const shared = repositoryFile(each, 'c'.repeat(63), stamp, '.tar.zst.age');
    assert.ok(isRepositoryFile(shared), shared);
    assert.deepEqual(parseArchiveUri(sharedUri(shared)), { where: 'repository', file: shared });
  }
  assert.notEqual(
    kubeletFile(long, 'c', stamp, '.tar'),
    kubeletFile({ ...long, name: `a${'b'.repeat(251)}d` }, 'c', stamp, '.tar'),
    'pods whose names are cut are still told apart',
  );
});

test('an archive of a kubelet in another time zone is one, too', () => {
  assert.ok(isKubeletFile('checkpoint-web_default-nginx-2026-01-02T05:04:05+02:00.tar'));
});

test('no URI leads out of the two folders', () => {
  const good = kubeletFile(pod, 'nginx', stamp, '.tar');
  const shared = repositoryFile(pod, 'nginx', stamp, '.tar');
  for (const uri of [
    '',
    good,
    'file:///etc/shadow',
    'file:///var/lib/kubelet/checkpoints/../pki/kubelet.key',
    `file:///var/lib/kubelet/checkpoints/../checkpoints/${good}`,
    `file:///var/lib/kubelet/checkpoints/sub/${good}`,
    `file:///var/lib/kubelet/checkpoints/${good}\0`,
    `file:///var/lib/kubelet/checkpoints/${good}\n`,
    `file:///var/lib/kubelet/checkpoints/.${good}`,
    `file:///var/lib/kubelet/checkpoints/${shared}`,
    `shared://../${shared}`,
    `shared:///${shared}`,
    `shared://.lpm/${shared}`,
    `shared://${shared}.json`,
    `shared://${shared}/x`,
    `shared://${good}`,
    `http://${shared}`,
  ]) {
    assert.throws(
      () => parseArchiveUri(uri),
      (error) => error instanceof LpmError && error.reason === 'InvalidArgument',
      JSON.stringify(uri),
    );
  }
});
