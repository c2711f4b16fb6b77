import { join } from 'node:path';
import { LpmError } from '../../common/errors.js';
import type { Host } from '../host.js';
import { importPatterns } from './containerd-config.js';
import {
  containerdPrograms,
  otherContainerdPaths,
  planContainerd,
  withoutContainerdHandler,
} from './containerd-plan.js';
import { crioPrograms, planCrio, withoutCrioHandler } from './crio-plan.js';
import { flagOf } from './find-process.js';
import type { NodeFiles } from './node-files.js';
import type { ConfigFile, FileChange, NamedProgram, Plan } from './plan.js';
import type { RuntimeProcess } from './restart-way.js';

export interface Runtime {
  name: 'containerd' | 'cri-o';
  /** As CRI tells it. */
  version: string;
  process: RuntimeProcess;
}

/** @throws RuntimeNotSupported for a runtime of another name */
export function knownRuntime(runtimeName: string, version: string, process: RuntimeProcess): Runtime {
  if (runtimeName === 'containerd' || runtimeName === 'cri-o') return { name: runtimeName, version, process };
  throw new LpmError('RuntimeNotSupported', `This node's container runtime is ${runtimeName}.`, {
    hint: 'containerd (1.7 or newer) or CRI-O (1.28 or newer) is needed.',
  });
}

/** The OCI runtimes' programs that its files name, the default one's first. */
export async function programsNamed(runtime: Runtime, files: NodeFiles): Promise<NamedProgram[]> {
  const { name, version, process } = runtime;
  return name === 'containerd'
    ? containerdPrograms({ version, ...(await containerdFacts(files, process)) })
    : crioPrograms({ version, ...(await crioFacts(files, process)) });
}

/**
 * What is to be written so that the runtime knows the handler, from its files as they are now.
 *
 * @param behind which of the runtimes there has the program that the handler calls; undefined: none
 */
export async function planFor(
  runtime: Runtime,
  files: NodeFiles,
  handlerPath: string,
  behind: string | undefined,
): Promise<Plan> {
  const { name, version, process } = runtime;
  return name === 'containerd'
    ? planContainerd({ version, handlerPath, ...(await containerdFacts(files, process)) }, behind)
    : planCrio({ version, handlerPath, ...(await crioFacts(files, process)) }, behind);
}

/** What is to be written so that it knows it no more. */
export async function removalsFor({ name, process }: Runtime, files: NodeFiles): Promise<FileChange[]> {
  return name === 'containerd'
    ? withoutContainerdHandler(await containerdFacts(files, process))
    : withoutCrioHandler(await crioFacts(files, process));
}

async function containerdFacts(files: NodeFiles, process: RuntimeProcess) {
  const mainPath = containerdConfigPath(process);
  const loaded = await containerdFiles(files, mainPath);
  return { mainPath, files: loaded, others: await readAll(files, otherContainerdPaths(mainPath, loaded)) };
}

async function crioFacts(files: NodeFiles, process: RuntimeProcess) {
  const { main, dropInFolder } = crioPaths(process);
  const dropIns = (await files.names(dropInFolder)).map((each) => join(dropInFolder, each));
  return { dropInFolder, files: await readAll(files, [main, ...dropIns]) };
}

export const containerdConfigPath = (process: RuntimeProcess): string =>
  flagOf(process.argv, '--config', '-c') ?? '/etc/containerd/config.toml';

export const crioPaths = (process: RuntimeProcess): { main: string; dropInFolder: string } => ({
  main: flagOf(process.argv, '--config', '-c') ?? '/etc/crio/crio.conf',
  dropInFolder: flagOf(process.argv, '--config-dir', '-d') ?? '/etc/crio/crio.conf.d',
});

/** The main file and what it imports, breadth first, as containerd loads them (LoadConfig in cmd/containerd/server/config). */
async function containerdFiles(files: NodeFiles, mainPath: string): Promise<ConfigFile[]> {
  const loaded: ConfigFile[] = [];
  const pending = [mainPath];
  for (let path = pending.shift(); path !== undefined; path = pending.shift()) {
    if (loaded.some((file) => file.path === path)) continue;
    const text = await files.read(path);
    if (text === undefined) {
      if (path === mainPath) return [];
      throw new LpmError(
        'RuntimeNotSupported',
        `${path} is imported by containerd's configuration and missing.`,
        {
          hint: 'containerd would not start again: take the import away, or make the file.',
        },
      );
    }
    loaded.push({ path, text });
    for (const pattern of importPatterns({ path, text })) pending.push(...(await matching(files, pattern)));
  }
  return loaded;
}

/** Go's filepath.Glob, for patterns whose last part alone has wildcards; others than those are not met with. */
async function matching(files: NodeFiles, pattern: string): Promise<string[]> {
  if (!pattern.includes('*')) return [pattern];
  const slash = pattern.lastIndexOf('/');
  const folder = pattern.slice(0, slash);
  const quoted = pattern.slice(slash + 1).replace(/[.+^${}()|\\]/g, '\\$&');
  const name = new RegExp(`^${quoted.replaceAll('*', '.*').replaceAll('?', '.')}$`);
  return (await files.names(folder)).filter((each) => name.test(each)).map((each) => join(folder, each));
}

async function readAll(files: NodeFiles, paths: readonly string[]): Promise<ConfigFile[]> {
  const found: ConfigFile[] = [];
  for (const path of paths) {
    const text = (await files.isFile(path)) ? await files.read(path) : undefined;
    if (text !== undefined) found.push({ path, text });
  }
  return found;
}

/** Where the runtime would find a program by its name; undefined when nowhere. */
export async function findFor(
  process: RuntimeProcess,
  files: NodeFiles,
  host: Host,
  name: string,
): Promise<string | undefined> {
  if (name.startsWith('/')) return name;
  const folders = [...process.searchPath.split(':'), ...host.searchPath.split(':')];
  for (const folder of folders.filter((each) => each.startsWith('/') && !each.startsWith('/opt/lpm'))) {
    if (await files.isFile(join(folder, name))) return join(folder, name);
  }
  return undefined;
}
