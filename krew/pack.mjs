// `npm run krew`: the archive dist/kubectl-migrate-<version>.tar.gz and krew's manifests dist/krew/{migrate,checkpoint}.yaml.
// The same sources make the same archive, byte for byte, with the same Node.js.
//
//   node krew/pack.mjs [--release-url URL]   where the archive will be found; ${VERSION} is replaced
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createGzip } from 'node:zlib';
import { pack } from 'tar-stream';
import { bundlePlugin } from '../build.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Builds the plugin anew and packs it into `outdir`. Answers the paths of archive and manifests. */
export async function packForKrew(outdir, releaseUrl) {
  const { version, homepage } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
  const url = releaseUrl ?? `${homepage}/releases/download/v\${VERSION}`;
  const name = `kubectl-migrate-${version}.tar.gz`;
  const archive = await archiveOf(await programFiles());
  await mkdir(join(outdir, 'krew'), { recursive: true });
  await writeFile(join(outdir, name), archive);
  const values = {
    VERSION: version,
    HOMEPAGE: homepage,
    URI: `${url}/${name}`.replaceAll('${VERSION}', version),
    SHA256: createHash('sha256').update(archive).digest('hex'),
  };
  const manifests = [];
  for (const plugin of ['migrate', 'checkpoint']) {
    const template = await readFile(join(root, 'krew', `${plugin}.yaml`), 'utf8');
    // The comment is about the template.
    const text = template.replace(/^(#.*\n)+/, '').replace(/\$\{([A-Z0-9]+)\}/g, (_, key) => values[key]);
    const file = join(outdir, 'krew', `${plugin}.yaml`);
    await writeFile(file, text);
    manifests.push(file);
  }
  return { archive: join(outdir, name), sha256: values.SHA256, manifests };
}

/** What goes into the archive, by path: the program, its pieces, the license. */
async function programFiles() {
  const folder = await mkdtemp(join(tmpdir(), 'lpm-krew-'));
  try {
    await bundlePlugin(folder);
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    const files = new Map([['LICENSE', { data: await readFile(join(root, 'LICENSE')), mode: 0o644 }]]);
    for (const entry of entries.filter((each) => each.isFile())) {
      const path = join(entry.parentPath, entry.name);
      const inside = relative(folder, path);
      // Both programs are the same file; krew makes the links.
      if (inside === 'kubectl-checkpoint.mjs') continue;
      const mode = inside === 'kubectl-migrate.mjs' ? 0o755 : 0o644;
      files.set(inside, { data: await readFile(path), mode });
    }
    return files;
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Regular files only, in the order of their names, without the time or the user of this build. */
async function archiveOf(files) {
  const tar = pack();
  for (const [name, { data, mode }] of [...files].sort(([a], [b]) => (a < b ? -1 : 1))) {
    tar.entry({ name, mode, type: 'file', mtime: new Date(0), uid: 0, gid: 0 }, data);
  }
  tar.finalize();
  return buffer(tar.pipe(createGzip({ level: 9 })));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: { 'release-url': { type: 'string' } } });
  const { archive, sha256, manifests } = await packForKrew(join(root, 'dist'), values['release-url']);
  console.log(`${relative(root, archive)}\n  sha256 ${sha256}`);
  for (const manifest of manifests) console.log(relative(root, manifest));
  console.log(
    `\nTry it: kubectl krew install --manifest=${relative(root, manifests[0])} --archive=${relative(root, archive)}`,
  );
}
