import assert from 'node:assert/strict';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { LpmError } from '../../common/errors.js';
import { repositoryFile } from './layout.js';
import { Repository, type RepositoryOptions } from './repository.js';
import type { Sidecar } from './sidecar.js';

const dir = mkdtempSync(join(tmpdir(), 'lpm-repository-'));
const path = join(dir, 'shared');
mkdirSync(path);
/** What the agent's program does when it is asked to be a worker, without the rest of the agent. */
const serving = `import { serveRepository } from '${join(import.meta.dirname, 'worker.ts')}'; serveRepository();`;
const opened: Repository[] = [];
after(() => {
  opened.forEach((each) => each.close());
  rmSync(dir, { recursive: true });
});
const open = (more: Partial<RepositoryOptions> = {}): Repository => {
  const made = new Repository({
    path,
    sharing: 'yes',
    patienceMs: 60_000,
    nodeName: 'node-a',
    owner: dir,
    worker: [process.execPath, '--import', 'tsx', '--input-type=module', '--eval', serving, '--'],
    ...more,
  });
  opened.push(made);
  return made;
};
const repository = open();

const clusterUid = randomUUID();
const archive = (bytes: Buffer, container = 'main') => {
  const pod = { namespace: 'default', name: 'web', uid: randomUUID() };
  const from = join(dir, `${randomUUID()}.tar`);
  writeFileSync(from, bytes);
  const sidecar: Sidecar = {
    version: 1,
    clusterUid,
    checkpointUid: randomUUID(),
    container,
    pod,
    nodeName: 'node-a',
    sha256: createHash('sha256').update(bytes).digest('hex'),
    bytes: bytes.length,
    time: '2026-01-02T03:04:05.000Z',
  };
  return { from, file: repositoryFile(pod, container, '2026-01-02T03:04:05Z', '.tar'), sidecar };
};
const reasonOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'nothing',
    (error: unknown) => (error instanceof LpmError ? error.reason : String(error)),
  );
const read = async (file: string): Promise<Buffer> => {
  const parts: Buffer[] = [];
  for await (const part of (await repository.open(file)).bytes) parts.push(part);
  return Buffer.concat(parts);
};

test('an archive is put there whole, told to its cluster, read and removed', async () => {
  const bytes = randomBytes(5_000_000);
  const one = archive(bytes);
  await repository.put(one);
  await repository.put(one);
  assert.equal(statSync(join(path, one.file)).mode & 0o777, statSync(one.from).mode & 0o777);
  assert.ok(bytes.equals(await read(one.file)));
  assert.deepEqual(await repository.list(clusterUid), [
    { file: one.file, sidecar: one.sidecar, there: true },
  ]);
  assert.deepEqual(await repository.list(randomUUID()), [], 'another cluster sees nothing of it');
  const state = await repository.state();
  assert.ok(state.shared && state.freeBytes > 0n);

  assert.equal(await reasonOf(repository.remove(one.file, randomUUID())), 'ArchiveMismatch');
  assert.equal(await repository.remove(one.file, one.sidecar.checkpointUid), bytes.length);
  assert.equal(await repository.remove(one.file, one.sidecar.checkpointUid), 0, 'twice is no error');
  assert.deepEqual(readdirSync(path), ['.lpm']);
  assert.deepEqual(readdirSync(join(path, '.lpm')), []);
  assert.equal(await reasonOf(repository.open(one.file)), 'ArchiveNotFound');
});

test('an archive of that name that is another one is neither replaced nor removed', async () => {
  const mine = archive(Buffer.from('mine'));
  await repository.put(mine);
  const { file } = mine;
  const other = { ...archive(Buffer.from('other')), file };
  assert.equal(await reasonOf(repository.put(other)), 'NameTaken');
  assert.equal(readFileSync(join(path, file), 'utf8'), 'mine');
  rmSync(join(path, '.lpm', `${file}.json`));
  assert.equal(await reasonOf(repository.put(other)), 'NameTaken');
  assert.equal(
    await reasonOf(repository.remove(file, mine.sidecar.checkpointUid)),
    'ArchiveMismatch',
    'nothing tells whose it is',
  );
  rmSync(join(path, file));
});

test('what a copy left half done is listed as not there, and removed with its sidecar', async () => {
  const { file, sidecar } = archive(Buffer.from('half'));
  writeFileSync(join(path, '.lpm', `${file}.json`), JSON.stringify(sidecar));
  writeFileSync(join(path, `.${file}.part`), 'ha');
  assert.deepEqual(await repository.list(clusterUid), [{ file, sidecar, there: false }]);
  assert.equal(await repository.remove(file, sidecar.checkpointUid), 2);
  assert.deepEqual(readdirSync(path), ['.lpm']);
});

test('links, folders and names of others are not read', async () => {
  const { file } = archive(Buffer.from('x'));
  symlinkSync('/etc/hostname', join(path, file));
  assert.equal(await reasonOf(repository.open(file)), 'ArtifactInvalid');
  rmSync(join(path, file));
  mkdirSync(join(path, file));
  assert.equal(await reasonOf(repository.open(file)), 'ArtifactInvalid');
  rmSync(join(path, file), { recursive: true });
  assert.equal(await reasonOf(repository.open('../etc/hostname')), 'InvalidArgument');
});

test('a sidecar that is none is passed over', async () => {
  const { file } = archive(Buffer.from('x'));
  for (const text of ['', 'null', '{}', '[1]', '{"version":1,"bytes":1}']) {
    writeFileSync(join(path, '.lpm', `${file}.json`), text);
    assert.deepEqual(await repository.list(clusterUid), [], text);
  }
  rmSync(join(path, '.lpm', `${file}.json`));
});

test('a repository that does not answer is given up in time, and not asked again while its process hangs', async () => {
  const silent = open({ worker: ['sh', '-c', 'exec sleep 1000'], patienceMs: 300 });
  const begin = performance.now();
  assert.equal(await reasonOf(silent.put(archive(Buffer.from('x')))), 'RepositoryUnavailable');
  const { problem, shared } = await silent.state();
  assert.ok(!shared);
  assert.match(problem, /has not answered|hangs/);
  assert.ok(performance.now() - begin < 10_000);
});

test('a worker that dies is told at once, and the next one does the work', async () => {
  const dying = open({ worker: ['sh', '-c', 'exit 1'] });
  const begin = performance.now();
  assert.equal(await reasonOf(dying.list(clusterUid)), 'RepositoryUnavailable');
  assert.ok(performance.now() - begin < 10_000, 'nobody waited for it');
});

test('a repository that was not there is found as soon as it is', async () => {
  const late = open({ path: join(dir, 'late') });
  assert.ok(!(await late.state()).shared);
  mkdirSync(join(dir, 'late'));
  assert.equal((await late.state()).problem, '');
});

test('a folder that is gone, or not shared, is told in a sentence', async () => {
  const gone = open({ path: join(dir, 'nowhere') });
  assert.match((await gone.state()).problem, /nowhere .*is not there/);
  const own = open({ sharing: 'no' });
  assert.equal(await reasonOf(own.put(archive(Buffer.from('x')))), 'RepositoryUnavailable');
});
