/** What the guest boots from: Debian's cloud kernel, and a disk with the nodes' root file system and this machine's Node.js. */
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { installPackages, nodeRoot, once, type Say } from '../cluster/node-root.js';
import { nodeBinary } from '../cluster/node/programs.js';
import { cacheDir } from '../cluster/paths.js';
import { must, run } from '../cluster/run.js';

export interface GuestImage {
  kernel: string;
  /** An ext4 file system; nothing may write to it, every guest shares it. */
  disk: string;
}

const kernelPackage = 'linux-image-cloud-amd64';
const loader = new URL('guest/loader.sh', import.meta.url);

/** Of the nodes' root, what no guest needs: it would only make the disk larger. */
const leftOut = ['usr/bin/kubectl', 'usr/sbin/nginx', 'usr/share/doc', 'usr/share/man', 'usr/share/locale'];

/** Raise it when the way of building changes, so that old images are not taken for new ones. */
const recipe = 1;

const qemu = 'qemu-system-x86_64';

/** The emulator, and mke2fs for its disk: Debian package by program. */
const programs = { [qemu]: 'qemu-system-x86', mke2fs: 'e2fsprogs' };
const env = { ...process.env, PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin` };
const has = async (program: string): Promise<boolean> =>
  (await run('sh', ['-c', 'command -v "$1"', 'sh', program], { env })).code === 0;

/** Why no guest can run on this machine, as a sentence for the tests that are skipped then. */
export async function whyNoGuest(): Promise<string | undefined> {
  if (process.arch !== 'x64') return `needs an x86-64 machine; this one is ${process.arch}`;
  if (process.getuid?.() !== 0) return "needs root: the guest's disk is made of the nodes' root file system";
  if ((await has('apt-get')) && (await has('dpkg-deb'))) return undefined;
  return "needs apt-get: the guest's kernel, and qemu where it is missing, are Debian packages";
}

/** Answers the program that emulates the guest, and installs what is missing. */
export async function ensureQemu(say: Say): Promise<string> {
  const missing: string[] = [];
  for (const [program, name] of Object.entries(programs)) if (!(await has(program))) missing.push(name);
  if (missing.length > 0) {
    say(`installing ${missing.join(' and ')} with apt-get (qemu is about 60 MB)`);
    await installPackages(missing);
  }
  return qemu;
}

/** The image from the cache, made when it is not there (about 30 s and 800 MB, with the nodes' root twice that). */
export async function guestImage(say: Say): Promise<GuestImage> {
  const root = await nodeRoot(say);
  const key = createHash('sha256')
    .update(JSON.stringify([recipe, process.version]))
    .update(readFileSync(join(root, 'var/lib/dpkg/status')))
    .update(readFileSync(loader))
    .digest('hex')
    .slice(0, 12);
  const folder = join(cacheDir, `vm-${key}`);
  await once(folder, say, async () => {
    // Images of older recipes, and builds that were cut off. A guest that runs keeps its own open.
    for (const name of readdirSync(cacheDir)) {
      const builder = /^vm-\w+\.partial-(\d+)$/.exec(name)?.[1];
      if (builder ? !existsSync(`/proc/${builder}`) : /^vm-\w+$/.test(name)) {
        rmSync(join(cacheDir, name), { recursive: true, force: true });
      }
    }
    const partial = `${folder}.partial-${process.pid}`;
    try {
      mkdirSync(partial);
      await build(root, partial, say);
      renameSync(partial, folder);
    } finally {
      rmSync(partial, { recursive: true, force: true });
    }
  });
  return { kernel: join(folder, 'vmlinuz'), disk: join(folder, 'root.ext4') };
}

async function build(root: string, folder: string, say: Say): Promise<void> {
  say(`fetching Debian's ${kernelPackage} with apt-get (about 27 MB)`);
  const unpacked = join(folder, 'kernel');
  const archive = await fetchKernel(folder);
  await must('dpkg-deb', ['-x', archive, unpacked]);
  const boot = join(unpacked, 'boot');
  const kernel = readdirSync(boot).find((name) => name.startsWith('vmlinuz-')) ?? '';
  renameSync(join(boot, kernel), join(folder, 'vmlinuz'));

  say("making the guest's disk from the nodes' root");
  const tree = join(folder, 'tree');
  await must('cp', ['-a', '--reflink=auto', root, tree]);
  for (const path of leftOut) rmSync(join(tree, path), { recursive: true, force: true });
  await addModules(tree, join(unpacked, 'lib/modules'), kernel.slice('vmlinuz-'.length));
  const node = await nodeBinary(root, tree);
  mkdirSync(dirname(join(tree, node.to)), { recursive: true });
  copyFileSync(node.from, join(tree, node.to));
  copyFileSync(loader, join(tree, 'loader.sh'));
  chmodSync(join(tree, 'loader.sh'), 0o755);

  const disk = join(folder, 'root.ext4');
  // No journal: a guest that is ended hard is never started again from the same disk.
  const options = ['-q', '-t', 'ext4', '-O', '^has_journal', '-d', tree, disk, '3G'];
  await must('mke2fs', options, { env });
  rmSync(tree, { recursive: true });
  rmSync(unpacked, { recursive: true });
  rmSync(archive);
}

/** Downloads the kernel that the package of this name, which holds nothing itself, depends on; answers the .deb. */
async function fetchKernel(folder: string): Promise<string> {
  const find = async (): Promise<string | undefined> => {
    const { stdout } = await run('apt-cache', ['depends', kernelPackage]);
    return /^\s*Depends: (linux-image-\d\S+)/m.exec(stdout)?.[1];
  };
  const name = (await find()) ?? (await must('apt-get', ['update', '-q']), await find());
  if (!name)
    throw new Error(
      `apt knows no package ${kernelPackage}. Is this Debian, with its main archive in the sources?`,
    );
  // Downloading as the user _apt, as apt would, fails in a folder of root's.
  const download = ['-q', '-o', 'APT::Sandbox::User=root', 'download', name];
  if ((await run('apt-get', download, { cwd: folder })).code !== 0) {
    // The list names a version that the archive no longer holds.
    await must('apt-get', ['update', '-q']);
    await must('apt-get', download, { cwd: folder });
  }
  const file = readdirSync(folder).find((each) => each.endsWith('.deb'));
  if (!file) throw new Error(`apt-get downloaded no package ${name}.`);
  return join(folder, file);
}

/** The kernel loads what it lacks (overlayfs, bridges, sock_diag for CRIU) by running /sbin/modprobe. */
async function addModules(tree: string, modules: string, version: string): Promise<void> {
  await must('cp', ['-a', '--reflink=auto', modules, join(tree, 'usr/lib/modules')]);
  await must(join(tree, 'usr/bin/busybox'), ['depmod', '-b', tree, version]);
  for (const name of ['modprobe', 'depmod']) {
    const link = join(tree, 'usr/sbin', name);
    if (!existsSync(link)) symlinkSync('../bin/busybox', link);
  }
}
