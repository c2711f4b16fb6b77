import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createHash } from 'node:crypto';
import { basename, join } from 'node:path';
import { runtimeHandler } from '../../../build.mjs';
import { cacheDir } from '../paths.js';
import { installPackages, once, type Say } from '../node-root.js';
import { must, run } from '../run.js';

const here = new URL('.', import.meta.url);
const source = (name: string): string => readFileSync(new URL(name, here), 'utf8');

/** CAP_SYS_RESOURCE is bit 24 of the effective capabilities (capabilities(7)). */
export function lacksSysResource(status = readFileSync('/proc/self/status', 'utf8')): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? '0';
  return ((BigInt(`0x${effective}`) >> 24n) & 1n) === 0n;
}

function put(file: string, content: string | Buffer, mode = 0o644): void {
  mkdirSync(join(file, '..'), { recursive: true });
  writeFileSync(file, content, { mode });
  chmodSync(file, mode);
}

/** Puts the scripts that run inside a node into its upper layer. */
export function installScripts(upper: string): void {
  for (const name of ['init.sh', 'supervise.sh']) {
    put(join(upper, 'usr/local/lib/lpm-node', name), source(name), 0o755);
  }
}

/**
 * Makes `runc` and `criu`, as PATH finds them in the node, the ones that get along without CAP_SYS_RESOURCE.
 * Needs a C compiler once, which is installed when the machine has none.
 */
export async function installSysResourceHelp(upper: string, say: Say): Promise<void> {
  put(join(upper, 'usr/local/sbin/runc'), source('sysresource/runc.sh'), 0o755);
  put(join(upper, 'usr/local/sbin/criu'), source('sysresource/criu.sh'), 0o755);
  const shim = join(upper, 'usr/local/lib/lpm-node/prlimit-shim.so');
  mkdirSync(join(shim, '..'), { recursive: true });
  copyFileSync(await compiledShim(say), shim);
}

async function compiledShim(say: Say): Promise<string> {
  const code = source('sysresource/prlimit-shim.c');
  const key = createHash('sha256').update(code).update(process.arch).digest('hex').slice(0, 12);
  const file = join(cacheDir, `prlimit-shim-${key}.so`);
  await once(file, say, async () => {
    if ((await run('cc', ['--version']).catch(() => ({ code: 1 }))).code !== 0) {
      say('installing gcc with apt-get (this machine lacks CAP_SYS_RESOURCE, CRIU needs a small helper)');
      await installPackages(['gcc', 'libc6-dev']);
    }
    const partial = `${file}.partial`;
    await must('cc', ['-O2', '-shared', '-fPIC', '-x', 'c', '-o', partial, '-', '-ldl'], { stdin: code });
    renameSync(partial, file);
  });
  return file;
}

/** The runtime handler of the `lpm` RuntimeClass, and its settings (name → value). */
export async function installRuntimeHandler(
  root: string,
  { faults = false, settings = {} }: { faults?: boolean; settings?: Readonly<Record<string, string>> } = {},
): Promise<void> {
  const file = join(root, 'opt/lpm/bin/lpm-runtime');
  put(`${file}.new`, await runtimeHandler({ faults }), 0o755);
  // A shell reads its script as it goes: one that runs must keep the old file.
  renameSync(`${file}.new`, file);
  rmSync(join(root, 'opt/lpm/etc'), { recursive: true, force: true });
  for (const [name, value] of Object.entries(settings)) put(join(root, 'opt/lpm/etc', name), `${value}\n`);
}

/**
 * Makes the Node.js that runs this available in the node as /usr/local/bin/node, and answers what to bind-mount for
 * it. Libraries that the node's root lacks (a Node.js built by a distribution) come along in a folder of their own.
 */
export async function nodeBinary(root: string, upper: string): Promise<{ from: string; to: string }> {
  const binary = realpathSync(process.execPath);
  const { stdout } = await run('ldd', [binary]);
  const libraries = [...stdout.matchAll(/^\s*(\S+) => (\/\S+)/gm)].map((match) => ({
    name: match[1] ?? '',
    path: match[2] ?? '',
  }));
  const folders = ['usr/lib', 'usr/lib64'].flatMap((dir) => [dir, `${dir}/${triplet()}`]);
  const missing = libraries.filter(
    ({ name }) => !folders.some((folder) => existsSync(join(root, folder, basename(name)))),
  );
  if (missing.length === 0) return { from: binary, to: '/usr/local/bin/node' };
  const private_ = '/usr/local/lib/lpm-node/lib';
  for (const { name, path } of missing) {
    mkdirSync(join(upper, private_), { recursive: true });
    cpSync(realpathSync(path), join(upper, private_, basename(name)));
  }
  const to = '/usr/local/lib/lpm-node/node';
  put(join(upper, 'usr/local/bin/node'), `#!/bin/sh\nLD_LIBRARY_PATH=${private_} exec ${to} "$@"\n`, 0o755);
  return { from: binary, to };
}

const triplet = (): string => `${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`;
