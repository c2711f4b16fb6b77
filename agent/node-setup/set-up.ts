import { createHash } from 'node:crypto';
import { dirname, join } from 'node:path';
import { LpmError, messageOf } from '../../common/errors.js';
import type { Host } from '../host.js';
import { parseOciVersion } from '../node-info.js';
import { changeRuntime, takeBackUnfinished, type RuntimeTools } from './change-runtime.js';
import { HANDLER_PATH, MANUAL_FILE, NODE_FOLDER, SHIPPED_RUNC } from './names.js';
import { heldBack } from './held-back.js';
import { findFor, planFor, programsNamed, type Runtime } from './observe.js';
import type { FileChange, Plan } from './plan.js';
import { installPrograms, ownPrograms, programsToInstall, shippedFiles } from './programs.js';
import { sameProcess } from './record.js';
import { runcCandidates, type Candidate } from './runc-candidates.js';
import { identify } from './runtime-control.js';

export interface SetUpTools extends RuntimeTools {
  /** Folder of this process that holds what goes below /opt/lpm. */
  shipped: string;
  /** The agent's state folder when it is not the usual one. */
  stateDir: string | undefined;
  /** Why the runtime must not be restarted now; empty when it may. Nothing begins until `open` is called. */
  quiet: () => Promise<{ busy: string; open: () => void }>;
  /** How many pods run under the handler. */
  handlerPods: () => Promise<number>;
}

export type Outcome =
  /** The runtime knows the handler, and every file is in place. */
  | { state: 'ready'; message: string; runtimeRoots: readonly string[] }
  /** The node's administrator has said that nothing is to be changed. */
  | { state: 'manual'; message: string }
  /** Something goes on that a restart would disturb. */
  | { state: 'waiting'; message: string }
  | { state: 'failed'; message: string };

/**
 * Makes the node ready, as far as it is not: puts the programs in place, registers the handler, restarts the runtime. Called again
 * it finds all as it is to be and does nothing.
 */
export async function setUpNode(tools: SetUpTools): Promise<Outcome> {
  const { files, control, log } = tools;
  if (await files.isFile(MANUAL_FILE)) {
    return { state: 'manual', message: `${MANUAL_FILE} is there: nothing on this node is changed.` };
  }
  try {
    await takeBackUnfinished(tools);
    const runtime = await control.observe();
    const own = await ownRunc(tools, runtime);
    const unneeded = await putPrograms(tools, own !== undefined);
    const runc = own ?? (await shippedRunc(tools));
    const plan = await planFor(runtime, files, HANDLER_PATH, runc.runtime);
    const settings = await settingsFor(tools, runtime, runc.path);
    const wait = heldBack([...plan.changes, ...settings], HANDLER_PATH, await tools.handlerPods());
    if (wait) {
      log.warn('the registration stays as it is for now', { why: wait });
      const stands = (await control.offers()) !== false;
      return stands
        ? { state: 'ready', message: wait, runtimeRoots: plan.runtimeRoots }
        : { state: 'waiting', message: wait };
    }
    await putSettings(tools, settings);
    await removePrograms(tools, unneeded);
    return await register(tools, runtime, plan);
  } catch (error) {
    const hint = error instanceof LpmError && error.hint ? ` ${error.hint}` : '';
    log.error('this node could not be set up', { error, hint });
    return { state: 'failed', message: `${messageOf(error)}${hint}` };
  }
}

/** A runc that the node has without us. */
async function ownRunc({ host, files }: SetUpTools, runtime: Runtime): Promise<Candidate | undefined> {
  const find = (name: string): Promise<string | undefined> => findFor(runtime.process, files, host, name);
  const configured: Required<Candidate>[] = [];
  for (const { runtime: name, program } of await programsNamed(runtime, files)) {
    const path = await find(program);
    if (path !== undefined) configured.push({ path, runtime: name });
  }
  for (const candidate of runcCandidates({ configured, inPath: await find('runc') })) {
    if (await isRunc(host, candidate.path)) return candidate;
  }
  return undefined;
}

/** By what it says of itself: a wrapper may have any name. */
async function isRunc(host: Host, program: string): Promise<boolean> {
  const { stdout } = await host.run([program, '--version']).catch(() => ({ stdout: '' }));
  return parseOciVersion(stdout).ociRuntime === 'runc';
}

/** The one that has been put in place for want of another. */
async function shippedRunc({ host }: SetUpTools): Promise<Candidate> {
  if (await isRunc(host, SHIPPED_RUNC)) return { path: SHIPPED_RUNC };
  throw new LpmError(
    'RuntimeNotSupported',
    'No runc is found on this node, and the one of the agent’s image is not there or does not run here.',
    { hint: 'Install runc: crun alone cannot restore a container.' },
  );
}

/** Answers the paths of what was put there before and is not wanted any more, which whatever stands may still need. */
async function putPrograms(
  { host, files, state, shipped, log }: SetUpTools,
  hasRunc: boolean,
): Promise<string[]> {
  // An agent that runs on the node itself finds the folder there already.
  const here = await files.here(NODE_FOLDER);
  if (here === shipped) return [];
  const paths = shippedFiles(shipped);
  const tools = paths
    .map((path) => /^bin\/(.+)$/.exec(path)?.[1] ?? '')
    .filter((name) => name !== '' && !['lpm-runtime', 'criu', 'runc'].includes(name));
  const wanted = programsToInstall(paths, { ...(await ownPrograms(host, tools)), runc: hasRunc });
  const record = state.read();
  // Written first: what lies there without being known would stay for ever.
  const now = wanted.map((path) => join(NODE_FOLDER, path));
  state.write({ ...record, files: [...new Set([...record.files, ...now])] });
  await installPrograms(shipped, wanted, files);
  log.debug('the programs are in place', { files: now.length });
  return record.files.filter((path) => !now.includes(path) && !path.startsWith(`${NODE_FOLDER}/etc/`));
}

async function removePrograms({ files, state }: SetUpTools, unneeded: readonly string[]): Promise<void> {
  if (unneeded.length === 0) return;
  for (const path of unneeded) await files.remove(path);
  const record = state.read();
  state.write({ ...record, files: record.files.filter((path) => !unneeded.includes(path)) });
}

/** Tells the handler which runc is meant, and where the agent's state lies, when it would not find them. */
async function settingsFor(
  { host, files, state, stateDir }: SetUpTools,
  runtime: Runtime,
  runc: string,
): Promise<FileChange[]> {
  const usual = await findFor(runtime.process, files, host, 'runc');
  const settings = {
    // Found by PATH it may be another one after an upgrade, as the node's own is.
    runtime: runc === usual && host.searchPath.split(':').includes(dirname(runc)) ? undefined : runc,
    'state-dir': stateDir,
  };
  const found: FileChange[] = [];
  for (const [name, value] of Object.entries(settings)) {
    const path = `${NODE_FOLDER}/etc/${name}`;
    const before = await files.read(path);
    // Somebody else's word stands.
    if (before !== undefined && !state.read().files.includes(path)) continue;
    const after = value === undefined ? undefined : `${value}\n`;
    if (before !== after) found.push({ path, before, after });
  }
  return found;
}

async function putSettings({ files, state }: SetUpTools, settings: readonly FileChange[]): Promise<void> {
  for (const { path, after } of settings) {
    const record = state.read();
    const others = record.files.filter((each) => each !== path);
    if (after === undefined) {
      await files.remove(path);
      state.write({ ...record, files: others });
    } else {
      state.write({ ...record, files: [...others, path] });
      await files.write(path, after);
    }
  }
}

async function register(tools: SetUpTools, runtime: Runtime, plan: Plan): Promise<Outcome> {
  const { control, state, log } = tools;
  const { changes, runtimeRoots } = plan;
  const record = state.read();
  const process = identify(runtime.process);
  const knows =
    changes.length === 0 && !sameProcess(record.changedUnder, process) && (await control.offers()) !== false;
  const ready: Outcome = {
    state: 'ready',
    message: plan.byHand ? 'The handler is registered by hand.' : 'The handler is registered.',
    runtimeRoots,
  };
  if (knows) return ready;

  const key = createHash('sha256')
    .update(JSON.stringify([runtime.name, runtime.version, changes]))
    .digest('hex');
  if (record.failed?.key === key) {
    return {
      state: 'failed',
      message: `${record.failed.message} It is not tried again before something changes.`,
    };
  }
  const { busy, open } = await tools.quiet();
  try {
    if (busy) return { state: 'waiting', message: `The container runtime is restarted when ${busy}.` };
    try {
      const folders = await changeRuntime(tools, runtime, changes, true);
      state.write({
        files: record.files,
        folders: [...new Set([...record.folders, ...folders])],
      });
    } catch (error) {
      const hint = error instanceof LpmError && error.hint ? ` ${error.hint}` : '';
      const message = `${messageOf(error)}${hint}`;
      log.error('the handler was not registered', { error });
      state.write({ ...record, failed: { key, message } });
      return { state: 'failed', message };
    }
    log.info('the handler is registered', { runtime: runtime.name, version: runtime.version });
    return ready;
  } finally {
    open();
  }
}
