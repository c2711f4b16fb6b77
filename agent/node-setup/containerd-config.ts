import { dirname, isAbsolute, join, normalize } from 'node:path';
import { LpmError } from '../../common/errors.js';
import type { ConfigFile } from './plan.js';
import { isTable, merge, parseToml, stringAt, stringsAt, tableAt, type Table } from './toml.js';
import { atLeast } from './version.js';

/** Section of the CRI plugin that holds the runtimes, up to configuration version 2, and from version 3 on. */
export const CRI_V2 = 'io.containerd.grpc.v1.cri';
export const CRI_V3 = 'io.containerd.cri.v1.runtime';

/** The shim that runs runc and what can be called like it. */
const RUNC_SHIM = 'io.containerd.runc.v2';

/**
 * What containerd has built in for a runtime "runc" that no file names. 1.7 forgets it as soon as a file names any runtime
 * (go-toml v1 decodes into a new map), so it is written down there.
 */
const BUILT_IN_RUNC: Table = { runtime_type: RUNC_SHIM, sandbox_mode: 'podsandbox' };

/** What containerd makes of its files. */
export interface ContainerdConfig {
  /** Of the configuration's format. */
  version: number;
  /** Key of the section that holds the runtimes. */
  section: string;
  runtimes: Readonly<Record<string, Table>>;
  /** The runtime of pods that name none, as far as it runs runc or the like; else the one called runc. */
  base: Table;
  baseName: string;
  /** Name of that runtime when no file names it, so that only containerd's built-in default has it. */
  builtIn: string | undefined;
  /** The file whose section counts: the last one that has it. */
  sectionFile: string | undefined;
}

/** Absolute patterns of the files that a file imports. */
export function importPatterns(file: ConfigFile): string[] {
  return stringsAt(parseToml(file), 'imports').map((pattern) =>
    isAbsolute(pattern) ? normalize(pattern) : join(dirname(file.path), pattern),
  );
}

/**
 * Reads the files in containerd's order: the main one, then what it imports. 1.7 takes a plugin's whole section from the last file
 * that has one; from 2.0 on sections are merged (containerd#9982).
 *
 * @throws RuntimeNotSupported
 */
export function readContainerdConfig(
  files: readonly ConfigFile[],
  containerdVersion: string,
): ContainerdConfig {
  const merges = atLeast(containerdVersion, 2, 0);
  const parsed = files.map((file) => ({ path: file.path, table: parseToml(file) }));
  const version = versionOf(parsed, merges);
  const section = version >= 3 ? CRI_V3 : CRI_V2;
  let cri: Table = {};
  let sectionFile: string | undefined;
  for (const { path, table } of parsed) {
    const own = tableAt(table, 'plugins', section);
    if (!own) continue;
    cri = merges ? merge(cri, own) : own;
    sectionFile = path;
  }
  const disabled = parsed.flatMap(({ table }) => stringsAt(table, 'disabled_plugins'));
  if (disabled.includes(section) || disabled.includes('cri')) {
    throw new LpmError('RuntimeNotSupported', `containerd's CRI plugin ${section} is disabled.`, {
      hint: 'No kubelet works with it. Is another container runtime in use?',
    });
  }
  const runtimes = Object.fromEntries(
    Object.entries(tableAt(cri, 'containerd', 'runtimes') ?? {}).filter((entry): entry is [string, Table] =>
      isTable(entry[1]),
    ),
  );
  const defaultName = stringAt(tableAt(cri, 'containerd'), 'default_runtime_name') || 'runc';
  const named = [defaultName, 'runc'].find((name) => stringAt(runtimes[name], 'runtime_type') === RUNC_SHIM);
  return {
    version,
    section,
    runtimes,
    base: named !== undefined ? runtimes[named]! : merges ? { runtime_type: RUNC_SHIM } : builtInRunc(),
    baseName: named ?? 'runc',
    builtIn: !merges && runtimes.runc === undefined ? 'runc' : undefined,
    sectionFile,
  };
}

/** The last version that a file names, as containerd keeps it; without any file the newest that this containerd reads for certain. */
function versionOf(files: readonly { path: string; table: Table }[], merges: boolean): number {
  if (files.length === 0) return merges ? 3 : 2;
  const [version = 1] = files
    .map(({ table }) => Number(table.version ?? 0))
    .filter((each) => each > 0)
    .slice(-1);
  if (version >= 2 && (merges || version === 2)) return version;
  throw new LpmError(
    'RuntimeNotSupported',
    `${files[0]!.path} has the configuration format ${version}, which is ${version < 2 ? 'too old' : 'not what this containerd reads'}.`,
    { hint: 'Write it anew with `containerd config migrate`.' },
  );
}

/** Names of the runtimes that call runc, or a program that can be called like it, the default one first. */
export const runcLike = ({ baseName, runtimes }: ContainerdConfig): string[] => [
  baseName,
  ...Object.keys(runtimes).filter(
    (name) => name !== baseName && stringAt(runtimes[name], 'runtime_type') === RUNC_SHIM,
  ),
];

export const builtInRunc = (): Table => ({ ...BUILT_IN_RUNC });
