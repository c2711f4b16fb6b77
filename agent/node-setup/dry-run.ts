import { isDeepStrictEqual } from 'node:util';
import { LpmError } from '../../common/errors.js';
import { RUNTIME_CLASS } from '../../common/api/names.js';
import type { Host } from '../host.js';
import { CRI_V2, CRI_V3 } from './containerd-config.js';
import { containerdConfigPath, crioPaths, type Runtime } from './observe.js';
import { parseToml, tableAt, withoutEmpty, type Table } from './toml.js';

/** What the runtime itself makes of its files, asked without touching the one that runs; undefined when it cannot be asked. */
export async function dryRun(runtime: Runtime, host: Host): Promise<Table | undefined> {
  const { name, process } = runtime;
  const { program } = process;
  const argv: [string, ...string[]] =
    name === 'containerd'
      ? [program, '--config', containerdConfigPath(process), 'config', 'dump']
      : [program, ...crioFlags(runtime), 'config'];
  const result = await host.run(argv, { timeoutMs: 30_000 }).catch(() => undefined);
  // One program of several names (k3s) does not answer by this one.
  if (!result || result.code === 127) return undefined;
  if (result.code !== 0) {
    const said = result.stderr.trim().split('\n').slice(-2).join('; ');
    throw new LpmError('RuntimeNotSupported', `${name} cannot read its configuration: ${said}`, {
      hint: 'It would not start again with it: mend the files that it names.',
    });
  }
  return parseToml({ path: `what ${argv.join(' ')} prints`, text: result.stdout });
}

function crioFlags({ process }: Runtime): string[] {
  const { main, dropInFolder } = crioPaths(process);
  return ['--config', main, '--config-dir', dropInFolder];
}

const SECTIONS = [
  ['plugins', CRI_V2, 'containerd', 'runtimes'],
  ['plugins', CRI_V3, 'containerd', 'runtimes'],
  ['crio', 'runtime', 'runtimes'],
];

/** Why the second is not the first with the handler added; empty when it is. Imports differ as a matter of course. */
export function dryRunProblem(before: Table, after: Table): string {
  const known = SECTIONS.map((keys) => tableAt(after, ...keys)).some(
    (each) => each?.[RUNTIME_CLASS] !== undefined,
  );
  if (!known) return `the runtime "${RUNTIME_CLASS}" is not among what it reads`;
  return isDeepStrictEqual(withoutHandler(before), withoutHandler(after))
    ? ''
    : 'something else than that runtime would change';
}

function withoutHandler(table: Table): Table {
  const copy = structuredClone(table);
  delete copy.imports;
  for (const keys of SECTIONS) delete tableAt(copy, ...keys)?.[RUNTIME_CLASS];
  return withoutEmpty(copy);
}
