import { basename, join } from 'node:path';
import { LpmError } from '../../common/errors.js';
import { RUNTIME_CLASS } from '../../common/api/names.js';
import { DROP_IN } from './names.js';
import { changing, type ConfigFile, type FileChange, type NamedProgram, type Plan } from './plan.js';
import { isOwnFile, ownFile } from './text-edits.js';
import { isTable, nested, parseToml, stringAt, tableAt, tomlText, type Table } from './toml.js';
import { atLeast } from './version.js';

/** What is known of a node's CRI-O before anything is decided. */
export interface CrioFacts {
  /** As CRI tells it: "1.36.3". */
  version: string;
  /** Folder of its drop-ins. */
  dropInFolder: string;
  /** The files that it loads, in its order: the main one, then the folder by name. */
  files: readonly ConfigFile[];
  handlerPath: string;
}

/** CRI-O's own defaults for a runtime that no file names (pkg/config defaultRuntimeHandler). */
const BUILT_IN: Table = {
  runtime_type: 'oci',
  runtime_root: '/run/crun',
  monitor_env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
};

/** Where runc keeps its state by itself. */
const RUNC_ROOT = '/run/runc';

/** What would lead to another program than the handler, or to another runtime's defaults. */
const NOT_COPIED = [
  'runtime_path',
  'runtime_config_path',
  'platform_runtime_paths',
  'inherit_default_runtime',
];

/** The programs of type "oci" that the files name, the default runtime's first. */
export function crioPrograms(facts: Omit<CrioFacts, 'handlerPath'>): NamedProgram[] {
  const { name, runtimes } = readCrioConfig(withoutOurs(facts), facts.version);
  const names = [name, ...Object.keys(runtimes).filter((each) => each !== name && each !== RUNTIME_CLASS)];
  return names
    .filter((each) => (stringAt(runtimes[each], 'runtime_type') || 'oci') === 'oci')
    .map((runtime) => ({ runtime, program: stringAt(runtimes[runtime], 'runtime_path') || runtime }));
}

/**
 * How the handler is registered: with a drop-in that has all that the node's default runtime has, but for the program.
 *
 * @param behind name of the runtime whose program the handler calls; undefined: the files do not name it
 * @throws RuntimeNotSupported
 */
export function planCrio(facts: CrioFacts, behind: string | undefined): Plan {
  const { version, dropInFolder, files, handlerPath } = facts;
  if (!atLeast(version, 1, 28)) {
    throw new LpmError('RuntimeNotSupported', `CRI-O ${version} is too old: 1.28 or newer is needed.`);
  }
  const path = join(dropInFolder, `${DROP_IN}.conf`);
  const before = files.find((file) => file.path === path)?.text;
  const { name, runtimes } = readCrioConfig(withoutOurs(facts), version);
  const base = runtimes[name] ?? BUILT_IN;
  const type = stringAt(base, 'runtime_type') || 'oci';
  if (type !== 'oci') {
    throw new LpmError(
      'RuntimeNotSupported',
      `CRI-O's default runtime ${name} is of type "${type}", and only pods of type "oci" can be migrated.`,
      { hint: 'Make a runtime of type "oci" (runc or crun) the default one.' },
    );
  }
  const byHand = runtimes[RUNTIME_CLASS] !== undefined;
  const table: Table = { runtime_path: handlerPath, runtime_type: 'oci' };
  const like = behind === name ? base : aroundAnother(base, behind === undefined ? {} : runtimes[behind]);
  for (const [key, value] of Object.entries(like)) if (!NOT_COPIED.includes(key)) table[key] = value;
  const text = ownFile(tomlText(nested(['crio', 'runtime', 'runtimes', RUNTIME_CLASS], table)));
  const roots = [base, like, runtimes[RUNTIME_CLASS]].map((each) => stringAt(each, 'runtime_root'));
  return {
    changes: changing([
      { path, before, after: byHand ? (before && isOwnFile(before) ? undefined : before) : text },
    ]),
    runtimeRoots: [...new Set(roots.filter((root) => root !== ''))],
    byHand,
  };
}

/**
 * The default runtime's table for another program than its own: what is a matter of the program is that program's. crun and runc keep
 * different files in their state folders, and start containers with different amounts of memory at least.
 */
function aroundAnother(base: Table, other: Table = {}): Table {
  const { runtime_root: taken = BUILT_IN.runtime_root!, container_min_memory: _, ...rest } = base;
  const root = [stringAt(other, 'runtime_root'), RUNC_ROOT].find((each) => each !== '' && each !== taken);
  return {
    ...rest,
    runtime_root: root ?? `${RUNC_ROOT}-${RUNTIME_CLASS}`,
    ...(other.container_min_memory === undefined ? {} : { container_min_memory: other.container_min_memory }),
  };
}

const withoutOurs = ({ dropInFolder, files }: Pick<CrioFacts, 'dropInFolder' | 'files'>): ConfigFile[] =>
  files.filter(({ path, text }) => path !== join(dropInFolder, `${DROP_IN}.conf`) || !isOwnFile(text));

/** What takes the registration away again. */
export function withoutCrioHandler({
  dropInFolder,
  files,
}: Pick<CrioFacts, 'dropInFolder' | 'files'>): FileChange[] {
  const path = join(dropInFolder, `${DROP_IN}.conf`);
  const before = files.find((file) => file.path === path)?.text;
  return before !== undefined && isOwnFile(before) ? [{ path, before, after: undefined }] : [];
}

interface CrioConfig {
  /** Of the default runtime. */
  name: string;
  runtimes: Record<string, Table>;
}

/** A later file's table of a runtime stands for an earlier one's as a whole (BurntSushi/toml decodes each entry of a map anew). */
function readCrioConfig(files: readonly ConfigFile[], version: string): CrioConfig {
  let name = '';
  const runtimes: Record<string, Table> = {};
  for (const file of files) {
    const runtime = tableAt(parseToml(file), 'crio', 'runtime');
    if (typeof runtime?.default_runtime === 'string') name = runtime.default_runtime;
    for (const [key, value] of Object.entries(tableAt(runtime, 'runtimes') ?? {})) {
      if (isTable(value)) runtimes[key] = value;
    }
  }
  // CRI-O's default has been crun since 1.31.
  name ||= atLeast(version, 1, 31) ? 'crun' : 'runc';
  return { name: basename(name), runtimes };
}
