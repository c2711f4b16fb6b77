import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, realpathSync, readdirSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { once } from '../node-root.js';
import { cacheDir } from '../paths.js';
import { must } from '../run.js';
import { writeImage, type ImageDescription, type LayerEntry } from './oci.js';

export interface TestImage {
  reference: string;
  /** OCI archive on this machine. */
  archive: string;
  /** What tells its contents from another's where a small difference does not matter; default: the archive as a file. */
  contents?: string;
}

/** Raise it when what goes into the images changes. */
const recipe = 1;

export const busyboxImage = 'docker.io/library/busybox:1.35';
export const pauseImage = 'registry.k8s.io/pause:3.10';
export const memoryImage = 'docker.io/lpm-test/memory:1';
export const nginxImage = 'docker.io/library/nginx:1.21';

/** The images that every node holds, made from the Debian packages of the nodes' root (no registry). */
export async function testImages(root: string): Promise<TestImage[]> {
  const key = createHash('sha256')
    .update(readFileSync(join(root, 'var/lib/dpkg/status')))
    .update(readFileSync(memoryProgram))
    .update(String(recipe))
    .digest('hex')
    .slice(0, 12);
  const folder = join(cacheDir, 'images');
  mkdirSync(folder, { recursive: true });
  const images: TestImage[] = [];
  for (const [reference, describe] of descriptions) {
    // A root given by LPM_NODE_ROOT may have been made without it.
    if (reference === nginxImage && !existsSync(join(root, nginxProgram))) continue;
    const name = basename(reference).replace(':', '-');
    const archive = join(folder, `${name}-${key}.tar`);
    await once(
      archive,
      () => {},
      async () => {
        for (const old of readdirSync(folder)) {
          if (old.startsWith(`${name}-`) && old.endsWith('.tar')) rmSync(join(folder, old));
        }
        await writeImage(await describe(root), archive);
      },
    );
    images.push({ reference, archive });
  }
  return images;
}

const nginxProgram = 'usr/sbin/nginx';
const memoryProgram = new URL('memory.pl', import.meta.url);

const descriptions = new Map<string, (root: string) => Promise<ImageDescription>>([
  [busyboxImage, busybox],
  [pauseImage, pause],
  [memoryImage, memory],
  [nginxImage, nginx],
]);

/** Debian's static busybox (its version is newer than the tag says) with a link for every applet. */
async function busybox(root: string): Promise<ImageDescription> {
  return {
    reference: busyboxImage,
    entries: await busyboxEntries(root),
    config: { Cmd: ['sh'], Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'] },
  };
}

async function busyboxEntries(root: string): Promise<LayerEntry[]> {
  const binary = join(root, 'usr/bin/busybox');
  const applets = (await must(binary, ['--list'])).split('\n').filter((name) => name && name !== 'busybox');
  return [
    { path: 'bin/busybox', content: readFileSync(binary), mode: 0o755 },
    ...applets.map((name) => ({ path: `bin/${name}`, linkTo: 'busybox' })),
    ...['data', 'dev', 'etc', 'home', 'proc', 'root', 'run', 'sys', 'usr/bin', 'var/log'].map((path) => ({
      path,
      directory: true as const,
    })),
    { path: 'tmp', directory: true, mode: 0o1777 },
    {
      path: 'etc/passwd',
      content: Buffer.from('root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n'),
    },
    { path: 'etc/group', content: Buffer.from('root:x:0:\nnogroup:x:65534:\n') },
  ];
}

/** A sandbox's first process: one that waits for ever. The runtime ends it with SIGKILL. */
async function pause(root: string): Promise<ImageDescription> {
  const binary = readFileSync(join(root, 'usr/bin/busybox'));
  return {
    reference: pauseImage,
    entries: [{ path: 'bin/busybox', content: binary, mode: 0o755 }],
    config: { Entrypoint: ['/bin/busybox', 'sleep', 'infinity'], User: '65535:65535' },
  };
}

/** perl-base with the libraries it needs, and busybox beside it for `kubectl exec`. */
async function memory(root: string): Promise<ImageDescription> {
  return {
    reference: memoryImage,
    entries: [
      ...(await busyboxEntries(root)),
      ...(await programEntries(root, 'usr/bin/perl')),
      ...perlModules(root),
      { path: 'usr/local/bin/memory.pl', content: readFileSync(memoryProgram), mode: 0o644 },
    ],
    config: {
      Entrypoint: ['/usr/bin/perl', '/usr/local/bin/memory.pl'],
      Cmd: ['64'],
      Env: ['PATH=/usr/local/bin:/usr/bin:/bin', 'LC_ALL=C'],
    },
  };
}

/** Debian's nginx (newer than the tag says), which serves one page and logs to stdout and stderr as the official image does. */
async function nginx(root: string): Promise<ImageDescription> {
  const configuration = `user nobody nogroup;
worker_processes 1;
error_log /var/log/nginx/error.log notice;
pid /run/nginx.pid;
events {}
http {
  access_log /var/log/nginx/access.log;
  server {
    listen 80;
    root /usr/share/nginx/html;
  }
}
`;
  return {
    reference: nginxImage,
    entries: [
      ...(await busyboxEntries(root)),
      ...(await programEntries(root, nginxProgram)),
      { path: 'etc/nginx/nginx.conf', content: Buffer.from(configuration) },
      { path: 'usr/share/nginx/html/index.html', content: Buffer.from('<h1>Welcome to nginx!</h1>\n') },
      { path: 'var/lib/nginx', directory: true },
      { path: 'var/log/nginx/access.log', linkTo: '/dev/stdout' },
      { path: 'var/log/nginx/error.log', linkTo: '/dev/stderr' },
    ],
    config: {
      Cmd: ['nginx', '-g', 'daemon off;'],
      Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
      ExposedPorts: { '80/tcp': {} },
      StopSignal: 'SIGQUIT',
    },
  };
}

/** A program of the root, named by its path there, with the libraries that it needs. */
async function programEntries(root: string, program: string): Promise<LayerEntry[]> {
  const files = [`/${program}`, ...(await librariesOf(root, `/${program}`))];
  return files.map((path) => ({
    path: path.slice(1),
    content: readFileSync(realpathSync(join(root, path))),
    mode: 0o755,
  }));
}

/** strict.pm and warnings.pm, wherever this perl keeps them. */
function perlModules(root: string): LayerEntry[] {
  const base = join(
    root,
    'usr/lib',
    readdirSync(join(root, 'usr/lib')).find((n) => n.endsWith('-linux-gnu')) ?? '',
  );
  const folder = join(base, 'perl-base');
  return ['strict.pm', 'warnings.pm'].map((name) => ({
    path: `${folder.slice(root.length + 1)}/${name}`,
    content: readFileSync(join(folder, name)),
  }));
}

/** Absolute paths, within the root, of the shared libraries and the loader of a program there. */
async function librariesOf(root: string, program: string): Promise<string[]> {
  const listed = await must('chroot', [root, '/usr/bin/ldd', program]);
  return [...listed.matchAll(/(?:=> )?(\/\S+) \(0x/g)].map((match) => match[1] ?? '');
}
