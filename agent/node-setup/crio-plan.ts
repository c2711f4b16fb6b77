import { basename, join } from 'node:path';
import { LpmError } from '../../common/errors.js';
import { RUNTIME_CLASS } from '../../common/api/names.js';
import { DROP_IN } from './names.js';
import { changing, type ConfigFile, type FileChange, type Plan } from './plan.js';
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

/** What would lead to another program than the handler, or to another runtime's defaults. */
const NOT_COPIED = [
  'runtime_path',
  'runtime_config_path',
  'platform_runtime_paths',
  'inherit_default_runtime',
];

/**
 * How the handler is registered: with a drop-in that has all that the node's default runtime has, but for the program.
 *
 * @throws RuntimeNotSupported
 */
export function planCrio({ version, dropInFolder, files, handlerPath }: CrioFacts): Plan {
  if (!atLeast(version, 1, 28)) {
    throw new LpmError('RuntimeNotSupported', `CRI-O ${version} is too old: 1.28 or newer is needed.`);
  }
  const path = join(dropInFolder, `${DROP_IN}.conf`);
  const before = files.find((file) => file.path === path)?.text;
  const others = files.filter((file) => file.path !== path || !isOwnFile(file.text));
  const { name, runtimes } = readCrioConfig(others, version);
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
  for (const [key, value] of Object.entries(base)) if (!NOT_COPIED.includes(key)) table[key] = value;
  const text = ownFile(tomlText(nested(['crio', 'runtime', 'runtimes', RUNTIME_CLASS], table)));
  const root = stringAt(base, 'runtime_root');
  return {
    changes: changing([
      { path, before, after: byHand ? (before && isOwnFile(before) ? undefined : before) : text },
    ]),
    ociRuntime: stringAt(base, 'runtime_path') || name,
    runtimeRoots: root ? [root] : [],
    byHand,
  };
}

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
