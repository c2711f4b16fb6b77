/**
 * Does to an archive what krew does when it installs a plugin (kubernetes-sigs/krew, internal/{index,download,installation}):
 * checks manifest and checksum, unpacks, moves the files, links. For the test that a release of ours installs.
 */
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { extract } from 'tar-stream';
import { parse } from 'yaml';

interface Manifest {
  apiVersion?: string;
  kind?: string;
  metadata?: { name?: string };
  spec?: {
    version?: string;
    shortDescription?: string;
    platforms?: Platform[];
  };
}

interface Platform {
  selector?: { matchExpressions?: { key: string; operator: string; values: string[] }[] };
  uri?: string;
  sha256?: string;
  bin?: string;
  files?: unknown;
}

/** `krew install --manifest=FILE --archive=FILE` below a folder; answers the path of the link. */
export async function krewInstall(
  root: string,
  manifestFile: string,
  archiveFile: string,
  os: 'linux' | 'darwin' | 'windows',
): Promise<string> {
  const manifest = parse(await readFile(manifestFile, 'utf8')) as Manifest;
  const { name, version, platform } = check(manifest, manifestFile, os);
  const archive = await readFile(archiveFile);
  const sum = createHash('sha256').update(archive).digest('hex');
  if (sum !== platform.sha256)
    throw new Error(`checksum does not match, want ${platform.sha256}, got ${sum}`);

  const store = join(root, 'store', name);
  const bin = join(root, 'bin');
  await mkdir(store, { recursive: true });
  await mkdir(bin, { recursive: true });
  const staging = await mkdtemp(join(root, 'staging-'));
  const installed = join(store, version);
  try {
    await unpack(archive, staging);
    // Without `files`, everything at the top of the archive is moved.
    await mkdir(installed);
    for (const entry of await readdir(staging)) await rename(join(staging, entry), join(installed, entry));
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
  const program = join(installed, platform.bin!);
  await stat(program);
  const link = join(bin, `kubectl-${name.replaceAll('-', '_')}`);
  await symlink(relative(bin, program), link);
  return link;
}

function check(manifest: Manifest, file: string, os: string) {
  const { apiVersion, kind, metadata, spec } = manifest;
  if (apiVersion !== 'krew.googlecontainertools.github.com/v1alpha2') throw new Error('apiVersion');
  if (kind !== 'Plugin') throw new Error('kind');
  const name = metadata?.name ?? '';
  if (!/^[\w-]+$/.test(name) || !file.endsWith(`/${name}.yaml`)) throw new Error(`name ${name}`);
  const { version = '', shortDescription = '', platforms = [] } = spec ?? {};
  if (!/^v\d+\.\d+\.\d+/.test(version)) throw new Error(`version ${version}`);
  if (shortDescription === '' || /[\r\n]/.test(shortDescription)) throw new Error('shortDescription');
  // krew-index asks for this.
  if (shortDescription.length > 50) throw new Error('shortDescription is longer than 50 characters');
  const platform = platforms.find(({ selector }) => {
    const expressions = selector?.matchExpressions ?? [];
    if (expressions.length === 0) throw new Error('empty selector');
    return expressions.every(({ key, operator, values }) => {
      if (key !== 'os' && key !== 'arch') throw new Error(`key ${key}`);
      return operator === 'In' && (key === 'arch' || values.includes(os));
    });
  });
  if (!platform) throw new Error(`plugin "${name}" does not offer installation for this platform`);
  if (!platform.uri || !platform.bin || !/^[a-f0-9]{64}$/.test(platform.sha256 ?? ''))
    throw new Error('platform');
  if (platform.files !== undefined)
    throw new Error('`files` is not done here: write it when a manifest needs it');
  return { name, version, platform };
}

/** Folders and regular files; anything else, and any path that is absolute or holds "..", is refused. */
async function unpack(archive: Buffer, folder: string): Promise<void> {
  const entries = Readable.from([archive]).pipe(createGunzip()).pipe(extract());
  for await (const entry of entries) {
    const { name, type, mode } = entry.header;
    if (name.includes('..') || name.startsWith('/')) throw new Error(`suspicious entry "${name}"`);
    if (type !== 'file' && type !== 'directory')
      throw new Error(`unable to handle type ${type} of "${name}"`);
    const path = join(folder, name);
    if (type === 'directory') await mkdir(path, { recursive: true, mode });
    else {
      await mkdir(dirname(path), { recursive: true });
      const chunks: Buffer[] = [];
      for await (const chunk of entry) chunks.push(chunk as Buffer);
      await writeFile(path, Buffer.concat(chunks), { mode });
    }
    entry.resume();
  }
}
