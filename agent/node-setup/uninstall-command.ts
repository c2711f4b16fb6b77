import type { Context } from '../context.js';
import { whatIsMigrated } from './busy.js';
import { NodeKeeper } from './keeper.js';
import { removeState } from './remove-state.js';
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
      const left = removeState(context.state.root);
      await tools.files.removeEmpty(context.state.root);
      const { root } = context.state;
      report.push(left.length === 0 ? `${root} is empty.` : `${root} still holds ${left.join(', ')}.`);
    }
    for (const sentence of report) process.stdout.write(`${sentence}\n`);
  } finally {
    context.archives.repository.close();
    context.cri.close();
  }
}
