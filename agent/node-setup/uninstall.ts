import { join } from 'node:path';
import { LpmError } from '../../common/errors.js';
import { RUNTIME_CLASS } from '../../common/api/names.js';
import type { Cri } from '../cri.js';
import { changeRuntime, takeBackUnfinished, type RuntimeTools } from './change-runtime.js';
import { handlerPods } from './handler-pods.js';
import { MANUAL_FILE, NODE_FOLDER } from './names.js';
import { removalsFor } from './observe.js';
import { neededByContainers } from './programs.js';
import { sameProcess } from './record.js';
import { identify } from './runtime-control.js';

export interface UninstallOptions {
  /** Although pods run with the handler. */
  force: boolean;
}

export interface Uninstalled {
  /** What was done, sentence by sentence. */
  report: string[];
  /** Nothing of ours is left that anybody needs. */
  complete: boolean;
}

/**
 * Takes everything back that the set-up has made on this node: the registration first, then what it points to. Called again it finds
 * nothing to do.
 *
 * @param busy see whatIsMigrated
 * @throws PodBusy while pods need what would go
 */
export async function uninstallNode(
  tools: RuntimeTools & { cri: Cri; busy: () => Promise<string> },
  { force }: UninstallOptions,
): Promise<Uninstalled> {
  const { files, control, state, cri } = tools;
  const done: string[] = [];
  if (await files.isFile(MANUAL_FILE)) {
    const said = `${MANUAL_FILE} is there: this node was set up by hand, and nothing on it is changed.`;
    return { report: [said], complete: false };
  }
  const busy = await tools.busy();
  if (busy) throw new LpmError('PodBusy', `Nothing is taken away from this node before ${busy}.`);
  const users = await handlerPods(cri);
  const names = users.map(({ metadata }) => `${metadata?.namespace}/${metadata?.name}`).join(', ');
  if (users.length > 0 && !force) {
    throw new LpmError(
      'PodBusy',
      `${users.length} pod(s) on this node run with the handler "${RUNTIME_CLASS}": ${names}.`,
      {
        hint: 'Their containers could not be started again without it. Delete the pods first, or use --force.',
      },
    );
  }

  await takeBackUnfinished(tools);
  const runtime = await control.observe();
  const used = users.length > 0;
  // Without it CRI-O could not end their containers any more, and the pods would hang in Terminating (seen with 1.36); what
  // containerd has started is ended by its shim.
  const staysKnown = used && runtime.name === 'cri-o';
  if (staysKnown)
    done.push(`${runtime.name} still knows the handler, for it could not end its pods without it.`);
  else {
    const removals = await removalsFor(runtime, files);
    if (removals.length > 0 || sameProcess(state.read().changedUnder, identify(runtime.process))) {
      await changeRuntime(tools, runtime, removals, false);
      done.push(`${runtime.name} does not know the handler any more, and was restarted.`);
    }
  }
  const byHand = !staysKnown && (await control.offers()) === true;
  const { report, complete } = await removeFiles(tools, { byHand, used });
  return { report: [...done, ...report], complete };
}

async function removeFiles(
  { files, state }: RuntimeTools,
  { byHand, used }: { byHand: boolean; used: boolean },
): Promise<Uninstalled> {
  const { files: ours, folders } = state.read();
  const needed = neededByContainers(ours);
  const kept = ours.filter((path) => byHand || (used && needed.includes(path)));
  const gone = ours.filter((path) => !kept.includes(path));
  for (const path of gone) await files.remove(path);
  const below = ['bin', 'etc', 'lib/xtables', 'lib', 'libexec', ''].map((name) => join(NODE_FOLDER, name));
  for (const folder of [...below, ...[...folders].reverse()]) await files.removeEmpty(folder);
  const report = gone.length > 0 ? [`${gone.length} file(s) below ${NODE_FOLDER} are gone.`] : [];
  if (kept.length === 0) {
    state.remove();
    return { report, complete: !used };
  }
  state.write({ files: kept, folders: [] });
  const why = byHand
    ? 'the handler is registered by hand'
    : 'containers that were started with the handler are ended with it; call this again when they are gone';
  const named = kept.filter((path) => !path.startsWith(`${NODE_FOLDER}/lib`));
  return { report: [...report, `Left in place: ${named.join(', ')}, as ${why}.`], complete: false };
}
