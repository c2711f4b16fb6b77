import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { KUBELET_CHECKPOINTS } from '../../common/api/names.js';
import { LpmError } from '../../common/errors.js';
import { PstreeEntry } from '../../proto/gen/lpm/criu/v1/images.js';
import {
  TransferDirection,
  type ArchiveSource,
  type ContainerArtifact,
} from '../../proto/gen/lpm/v1/agent.js';
import { criuImage } from '../../test/support/criu-images.js';
import { archiveParts, chunksOf, manifestOf } from '../../test/support/raw-archive.js';
import { rawTar } from '../../test/support/raw-tar.js';
import type { Context } from '../context.js';
import { Host } from '../host.js';
import { createLogger } from '../log.js';
import { StateDir } from '../state.js';
import type { ArchiveStore } from '../transfer-port/store.js';
import { Transfers } from '../transfer-port/transfers.js';
import { encrypt } from './age.js';
import { Repository } from './repository.js';
import { archiveStore } from './transfer-store.js';

const contents = {
  'checkpoint/pstree.img': criuImage('pstree', PstreeEntry.encode(PstreeEntry.fromPartial({ pid: 7 }))),
  'config.dump': Buffer.from('{"rootfsImageName":"busybox:1.35"}'),
};
const plain = rawTar(...archiveParts(contents));
const identity = await generateX25519Identity();

async function sealed(): Promise<Buffer> {
  const { stdout } = spawnSync('zstd', ['--quiet', '--stdout'], { input: plain });
  const parts: Uint8Array[] = [];
  for await (const part of encrypt(chunksOf(stdout, 65_536), [await identityToRecipient(identity)])) {
    parts.push(part);
  }
  return Buffer.concat(parts);
}

interface Keys {
  /** What its file of identities holds; none is there without. */
  identities?: string;
  /** The agent was started with the name of that file. */
  flag?: boolean;
}

interface Node {
  store: ArchiveStore;
  takeIn(archive: Buffer): Promise<{ source: ArchiveSource; artifact: ContainerArtifact }>;
  /** What lies where archives lie. */
  files(): string[];
}

/** A node whose files lie below a folder, and which has no shared repository. */
function aNode(t: TestContext, { identities, flag = identities !== undefined }: Keys = {}): Node {
  const root = mkdtempSync(join(tmpdir(), 'lpm-store-'));
  const transfers = new Transfers();
  t.after(() => {
    transfers.close();
    rmSync(root, { recursive: true });
  });
  const identitiesFile = join(root, 'identities');
  if (identities) writeFileSync(identitiesFile, identities);
  const context = {
    nodeName: 'node-b',
    host: Object.assign(new Host(), { path: (path: string) => join(root, path) }),
    state: new StateDir(join(root, 'state')),
    log: createLogger('error', () => {}),
    archives: {
      repository: new Repository({
        path: join(root, 'repository'),
        sharing: 'no',
        patienceMs: 1000,
        nodeName: 'node-b',
        owner: root,
      }),
      recipientsFile: undefined,
      identitiesFile: flag ? identitiesFile : undefined,
    },
  } as unknown as Context;
  const store = archiveStore(context);
  return {
    store,
    files: () => readdirSync(context.host.path(KUBELET_CHECKPOINTS)),
    async takeIn(archive) {
      const source: ArchiveSource = {
        containerName: 'counter',
        uri: '',
        sha256: createHash('sha256').update(archive).digest(),
        bytes: BigInt(archive.length),
        address: '',
        nodeName: '',
      };
      const transfer = transfers.open({
        transferUid: randomUUID(),
        direction: TransferDirection.TRANSFER_DIRECTION_IMPORT,
        ticketSha256: Buffer.alloc(32, 1),
        validFor: { seconds: 60n, nanos: 0 },
        archives: [source],
        pod: manifestOf(contents).pod,
        clusterUid: randomUUID(),
      });
      const file = await store.placeFor(transfer, source);
      writeFileSync(file, archive);
      const artifact = await store.keep(file, transfer, source);
      return { artifact, source: { ...source, uri: artifact.archive?.uri ?? '' } };
    },
  };
}

test('an encrypted and compressed import is kept as it came, described, and told of to who exports it', async (t) => {
  const node = aNode(t, { identities: identity });
  const archive = await sealed();
  const { artifact, source } = await node.takeIn(archive);
  assert.match(artifact.path, /\.tar\.age$/);
  assert.ok(artifact.archive?.restorable);
  assert.deepEqual(
    artifact.archive.description?.processes.map(({ pid }) => pid),
    [7],
  );
  assert.equal(artifact.image, 'busybox:1.35');
  const kept: Uint8Array[] = [];
  for await (const part of await node.store.read(source, t.signal)) kept.push(part as Uint8Array);
  assert.ok(Buffer.concat(kept).equals(archive));
  const told = JSON.parse((await node.store.manifest(source)) ?? '{}') as { pod?: unknown };
  assert.deepEqual(told.pod, manifestOf(contents).pod);
});

for (const [name, keys, says] of [
  ['no identities', {}, /has no age identities to read encrypted archives with/],
  ['a file of identities that is not there', { flag: true }, /cannot be read: ENOENT/],
  ['the identities of others', { identities: await generateX25519Identity() }, /encrypted for somebody else/],
] as const) {
  test(`an agent with ${name} refuses an encrypted import with what to do, and takes in one that is not encrypted`, async (t) => {
    const node = aNode(t, keys);
    const error = await node.takeIn(await sealed()).catch((thrown: unknown) => thrown);
    assert.ok(error instanceof LpmError, String(error));
    assert.equal(error.reason, 'EncryptionNotSetUp');
    assert.match(error.message, says);
    assert.match(error.hint, /--archive-identities|Add the identity/);
    const { artifact } = await node.takeIn(plain);
    assert.match(artifact.path, /\.tar$/);
    assert.equal(artifact.archive?.description?.processes.length, 1);
  });
}
