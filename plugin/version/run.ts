import { SYSTEM_NAMESPACE } from '../../common/api/names.js';
import { explain } from '../cli-error.js';
import { EXIT, type ExitCode } from '../exit-code.js';
import type { KubeFlags } from '../flags.js';
import { version, type Invocation } from '../invocation.js';
import type { DataFormat } from '../output/format.js';
import { printData } from '../output/print.js';
import { flow } from '../terminal.js';
import { installed, type Installed, type Part } from './installed.js';

export interface VersionWish {
  /** Ask no cluster. */
  client: boolean;
  output?: DataFormat;
}

export async function tellVersions(
  invocation: Invocation,
  flags: KubeFlags,
  { client, output }: VersionWish,
): Promise<ExitCode> {
  const terminal = invocation.terminal({});
  const clientVersion = { version, node: process.version };
  let found: Installed | undefined;
  if (!client) {
    try {
      found = await installed((await invocation.connect(flags)).client);
    } catch (error) {
      // Of no cluster there is nothing to tell, and that is no failure.
      terminal.err(flow(terminal, `note: only this program's version is told: ${explain(error).message}`));
    }
  }
  if (output) terminal.raw(await printData({ clientVersion, ...found }, output));
  else terminal.out([`Client Version: ${version}`, ...(found ? lines(found) : [])].join('\n'));
  return EXIT.done;
}

/** Pure: a line for each part and each image of it. */
export function lines({ controller, agents }: Installed): string[] {
  return [...partLines('Controller', controller), ...partLines('Agent', agents)];
}

/** `a, b, c and 7 more` */
function some(names: readonly string[], most = 5): string {
  const unique = [...new Set(names)].sort();
  const shown = unique.slice(0, most).join(', ');
  return unique.length > most ? `${shown} and ${unique.length - most} more` : shown;
}

function partLines(name: string, { version: told, running, unknown }: Part): string[] {
  const known = told === undefined ? [] : [`${name} Version: ${told}`];
  if (unknown !== undefined) return [...known, `${name} Image: not known. ${unknown}`];
  if (running.length === 0) {
    return [...known, `${name} Image: not known. It runs in no pod of ${SYSTEM_NAMESPACE}.`];
  }
  return [
    ...known,
    ...running.map(({ image, digest, version: itsOwn, ready, pods, nodes }) => {
      const exact = digest && !image.includes('@') ? ` (${digest.slice(0, 'sha256:'.length + 12)})` : '';
      const number = itsOwn === undefined ? '' : `, version ${itsOwn}`;
      // Where they differ it matters which are the other ones.
      const where = running.length > 1 && nodes.length > 0 ? ` on ${some(nodes)}` : '';
      return `${name} Image: ${image}${exact}${number}, ${ready} of ${pods} ready${where}`;
    }),
  ];
}
