import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Context } from '../context.js';
import { whatIsMigrated } from './busy.js';
import { NodeKeeper } from './keeper.js';
import { uninstallNode } from './uninstall.js';
import { runtimeTools, type SetUpOptions } from './wire.js';

/** `--uninstall-node`: says on stdout what was done, a sentence a line. @throws what uninstallNode does */
export async function uninstall(
  parts: Omit<Context, 'keeper'>,
  options: SetUpOptions,
  { force, keepState }: { force: boolean; keepState: boolean },
): Promise<void> {
  const context: Context = { ...parts, keeper: new NodeKeeper() };
  try {
    const tools = {
      ...runtimeTools(context, options),
      cri: context.cri,
      busy: () => whatIsMigrated(context, 0),
    };
    const { report, complete } = await uninstallNode(tools, { force });
    if (complete && !keepState) {
      // On the node itself: in the agent's container the folder is a mount, which stays.
      for (const name of ['artifacts', 'pods', 'logs', 'archives', 'restored', 'node-setup']) {
        rmSync(join(context.state.root, name), { recursive: true, force: true });
      }
      await tools.files.removeEmpty(context.state.root);
      report.push(`${context.state.root} is empty.`);
    }
    for (const sentence of report) process.stdout.write(`${sentence}\n`);
  } finally {
    context.archives.repository.close();
    context.cri.close();
  }
}
