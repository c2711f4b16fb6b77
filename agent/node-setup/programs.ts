import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import type { Host } from '../host.js';
import { HANDLER_PATH, NODE_FOLDER, SHIPPED_RUNC } from './names.js';
import type { NodeFiles } from './node-files.js';
import { atLeast } from './version.js';

/** What the node has of its own, ours not counted. */
export interface OwnPrograms {
  /** Version of its CRIU when that works here; empty when there is none that does. */
  criu: string;
  /** Names of the programs that CRIU calls which it has (GNU's, for tar). */
  tools: readonly string[];
  /** A runc, which the handler calls. */
  runc: boolean;
}

/**
 * Which of the shipped files a node gets: always the handler; CRIU when it has no usable one that is new enough; runc and what CRIU
 * calls when it has none. What comes with libraries needs all of them (they are shared).
 *
 * @param shipped paths below the folder: bin/NAME, lib/…, libexec/…
 */
export function programsToInstall(shipped: readonly string[], own: OwnPrograms): string[] {
  const wanted = shipped.filter((path) => {
    const name = /^bin\/(.+)$/.exec(path)?.[1];
    if (name === undefined) return false;
    if (name === 'lpm-runtime') return true;
    if (name === 'runc') return !own.runc;
    return name === 'criu' ? !atLeast(own.criu, 4, 1) : !own.tools.includes(name);
  });
  const portable = wanted.some((path) => path !== 'bin/lpm-runtime');
  return portable ? [...wanted, ...shipped.filter((path) => !path.startsWith('bin/'))] : wanted;
}

/**
 * Which of the installed files containers with the handler need to be ended: containerd's shims and conmon end a container with the
 * program that they have started it with, and that calls runc.
 */
export function neededByContainers(installed: readonly string[]): string[] {
  const ownRunc = installed.includes(SHIPPED_RUNC);
  return installed.filter(
    (path) =>
      path === HANDLER_PATH ||
      path.startsWith(`${NODE_FOLDER}/etc/`) ||
      (ownRunc && (path === SHIPPED_RUNC || dirname(path) === `${NODE_FOLDER}/lib`)),
  );
}

/** Paths of the shipped files, below their folder. */
export function shippedFiles(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .filter((path) => /^(bin|lib|libexec)\//.test(path))
    .sort();
}

/** Looks at what the node has. */
export async function ownPrograms(host: Host, names: readonly string[]): Promise<Omit<OwnPrograms, 'runc'>> {
  const PATH = host.searchPath
    .split(':')
    .filter((folder) => !folder.startsWith(NODE_FOLDER))
    .join(':');
  const ask = async (...argv: [string, ...string[]]): Promise<string | undefined> => {
    // Not by name: the first word is looked for in this process's PATH.
    const { code, stdout, stderr } = await host.run(['sh', '-c', 'exec "$@"', 'sh', ...argv], {
      env: { PATH },
      timeoutMs: 30_000,
    });
    return code === 0 ? `${stdout}\n${stderr}` : undefined;
  };
  const version = /^Version:\s*(\S+)/m.exec((await ask('criu', '--version')) ?? '')?.[1] ?? '';
  const works = version !== '' && (await ask('criu', 'check')) !== undefined;
  const tools: string[] = [];
  for (const name of names) {
    const said = await ask(name, '--version');
    if (said !== undefined && (name !== 'tar' || said.includes('GNU tar'))) tools.push(name);
  }
  return { criu: works ? version : '', tools };
}

/** Copies what differs. Answers the node's paths of all of them. */
export async function installPrograms(
  from: string,
  paths: readonly string[],
  files: NodeFiles,
): Promise<string[]> {
  // What is called comes last: never a program without its libraries.
  const order = (path: string): number => Number(path.startsWith('bin/'));
  const all = [...paths]
    .sort((a, b) => order(a) - order(b))
    .map((path) => ({ from: join(from, path), to: join(NODE_FOLDER, path) }));
  const other: typeof all = [];
  for (const each of all) {
    const here = await files.here(each.to);
    if (!existsSync(here) || !readFileSync(here).equals(readFileSync(each.from))) other.push(each);
  }
  await files.install(other);
  return all.map(({ to }) => to);
}
