import { LpmError, messageOf } from '../../common/errors.js';
import type { Host } from '../host.js';
import type { Logger } from '../log.js';
import { dryRun, dryRunProblem } from './dry-run.js';
import type { NodeFiles } from './node-files.js';
import type { Runtime } from './observe.js';
import { reversed, type FileChange } from './plan.js';
import type { Journal, SetUpState } from './record.js';
import { identify, type RuntimeControl } from './runtime-control.js';

export interface RuntimeTools {
  host: Host;
  files: NodeFiles;
  control: RuntimeControl;
  state: SetUpState;
  log: Logger;
}

/**
 * Changes the runtime's files and restarts it; whatever fails, the files are as they were before, and the runtime runs with them.
 * Answers the folders that were made.
 *
 * @param offered whether the runtime is to know the handler afterwards
 * @throws the cause, with what was taken back
 */
export async function changeRuntime(
  tools: RuntimeTools,
  runtime: Runtime,
  changes: readonly FileChange[],
  offered: boolean,
): Promise<string[]> {
  const { host, files, control, state, log } = tools;
  const way = control.way(runtime.process);
  // Before anything is written: what cannot be restarted is not changed.
  if (way.by === 'nobody') await control.restart(way);
  const before = await dryRun(runtime, host);

  const journal: Journal = {
    changes: [...changes],
    folders: [],
    process: identify(runtime.process),
    socket: control.socket,
    way,
    restarting: false,
  };
  state.begin(journal);
  try {
    journal.folders = await files.apply(changes);
    const after = changes.length > 0 ? await dryRun(runtime, host) : undefined;
    if (before && after && offered) {
      const problem = dryRunProblem(before, after);
      if (problem)
        throw new LpmError('RuntimeNotSupported', `${runtime.name} was not restarted: ${problem}.`);
    }
    journal.restarting = true;
    state.begin(journal);
    log.info('restarting the container runtime', {
      runtime: runtime.name,
      by: way.by,
      files: changes.map(({ path }) => path),
    });
    await control.restart(way);
    if ((await control.serving(journal.process, offered)) === !offered) {
      throw new LpmError(
        'RuntimeNotSupported',
        `${runtime.name} serves again and ${offered ? 'does not know the handler' : 'still knows the handler'}.`,
      );
    }
  } catch (error) {
    const outcome = await putBack(tools, journal);
    state.end();
    throw new LpmError(
      error instanceof LpmError ? error.reason : 'Internal',
      `${messageOf(error)} ${outcome}`,
      { cause: error, ...(error instanceof LpmError && error.hint ? { hint: error.hint } : {}) },
    );
  }
  state.end();
  return journal.folders;
}

/** Takes back what an agent has begun that died over it. */
export async function takeBackUnfinished(tools: RuntimeTools): Promise<void> {
  const unfinished = tools.state.journal();
  if (!unfinished) return;
  const files = unfinished.changes.map(({ path }) => path);
  tools.log.warn('taking back what an agent that died has begun', { files });
  tools.log.info('the container runtime was taken back', { said: await putBack(tools, unfinished) });
  tools.state.end();
}

/** Takes changes back. Says what came of it. */
export async function putBack(
  { files, control, log }: RuntimeTools,
  { changes, folders, process, way, restarting }: Journal,
): Promise<string> {
  try {
    await files.apply(reversed(changes));
    for (const folder of [...folders].reverse()) await files.removeEmpty(folder);
    if (!restarting) return 'Its files are as they were before.';
    const current = control.process();
    if (current) await control.restart(control.way(current));
    // It does not run: systemd starts it when it is told, and a supervisor by itself.
    else if (way.by !== 'supervisor') await control.restart(way);
    await control.serving(current ? identify(current) : process);
    return 'Its files are as they were before, and it runs with them again.';
  } catch (error) {
    log.error('the container runtime does not run, although its files are as they were before', { error });
    return `Its files were put back, but: ${messageOf(error)}`;
  }
}
