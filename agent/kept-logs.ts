import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { KeptLog } from '../proto/gen/lpm/v1/agent.js';
import type { Context } from './context.js';
import { errorLines } from './criu-messages.js';
import { readLogFile } from './log-file.js';
import { isLabel, isUid } from './names.js';
import { readRestoreRecord } from './restore-record.js';
import type { StateDir } from './state.js';

/** What is kept of one log: its end. */
const KEEP_BYTES = 1024 * 1024;
/** What of the errors in the part that is left out is repeated above the rest. */
const ERROR_BYTES = 4096;
/** Checkpoints and restores of which logs are kept, and for how long. */
const KEEP_FOLDERS = 64;
const KEEP_MS = 14 * 24 * 3600 * 1000;

/** What ReadLogs answers of one log when the caller names no bound, and of all of them together. */
const ANSWER_BYTES = 256 * 1024;
const ANSWER_TOTAL_BYTES = 4 * 1024 * 1024;

interface FoundLog {
  container: string;
  /** Without a folder: `dump.log`. */
  name: string;
  file: string;
}

/**
 * Keeps the logs of a dump below `logs/<checkpoint UID>`, from the folder of its artifacts, finished or not. Never throws:
 * what is done next matters more than a log.
 */
export function keepDumpLogs(context: Context, checkpointUid: string, artifacts: string): Promise<void> {
  return keep(context, checkpointUid, async () => {
    const found: FoundLog[] = [];
    for (const container of (await readdir(artifacts)).filter(isLabel)) {
      for (const name of ['dump.log', 'runtime.log']) {
        // A dump that failed leaves its log where CRIU wrote it; one that succeeded has it beside its images.
        const file = ['work', 'checkpoint', '.']
          .map((folder) => join(artifacts, container, folder, name))
          .find((path) => existsSync(path));
        if (file) found.push({ container, name, file });
      }
    }
    return found;
  });
}

/** Keeps the logs of all attempts to restore a pod below `logs/<restore UID>`. Never throws. */
export async function keepRestoreLogs(context: Context, podUid: string): Promise<void> {
  const pod = context.state.pod(podUid);
  const record = readRestoreRecord(pod);
  if (!record) return;
  await keep(context, record.restoreUid, async () => {
    const found: FoundLog[] = [];
    const containers = join(pod, 'containers');
    for (const container of (await readdir(containers)).filter(isLabel)) {
      const attempts = await readdir(join(containers, container, 'attempted')).catch(() => [] as string[]);
      for (const attempt of attempts.filter((name) => /^\d{1,3}$/.test(name))) {
        const folder = join(containers, container, 'attempted', attempt);
        for (const [path, name] of [
          ['work/restore.log', `restore-${attempt}.log`],
          ['action.log', `action-${attempt}.log`],
          ['layer.log', `layer-${attempt}.log`],
        ] as const) {
          const file = join(folder, path);
          if (existsSync(file)) found.push({ container, name, file });
        }
      }
    }
    return found;
  });
}

async function keep(context: Context, uid: string, find: () => Promise<FoundLog[]>): Promise<void> {
  try {
    const found = await find();
    const folder = context.state.logs(uid);
    for (const { container, name, file } of found) {
      const { size, mtime } = await stat(file);
      if (size === 0) continue;
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const kept = join(folder, `${container}.${name}`);
      await writeFile(kept, endOf(readLogFile(file), KEEP_BYTES), { mode: 0o600 });
      await chmod(kept, 0o600);
      // When the last line was written: CRIU's own times count from its start.
      await utimes(kept, mtime, mtime);
    }
    if (found.length > 0) await removeOldLogs(context.state);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    context.log.warn('the logs of CRIU could not be kept', { uid, error });
  }
}

/**
 * The end of a log in whole lines. A longer one says how much is left out and repeats the errors in it: the first error is
 * the cause, the last lines are only its consequences.
 */
export function endOf(log: string, bytes: number): string {
  if (Buffer.byteLength(log) <= bytes) return log;
  const buffer = Buffer.from(log);
  const cut = buffer.indexOf('\n', buffer.length - bytes) + 1;
  const before = buffer.subarray(0, cut).toString('utf8');
  const errors = errorLines(before).join('\n').slice(0, ERROR_BYTES);
  const note = `(the first ${cut} bytes are left out${errors ? '; the errors in them:' : ''})`;
  return `${[note, ...(errors ? [errors, '(end of the errors)'] : [])].join('\n')}\n${buffer.subarray(cut).toString('utf8')}`;
}

/** ReadLogs: what is kept here for a checkpoint or a restore, also of what is not discarded yet. */
export async function readLogs(
  context: Context,
  uid: string,
  podUid: string,
  maxBytes: number,
): Promise<KeptLog[]> {
  const { state } = context;
  for (const artifacts of [state.partialArtifacts(uid), state.artifacts(uid)]) {
    if (existsSync(artifacts)) await keepDumpLogs(context, uid, artifacts);
  }
  if (podUid) await keepRestoreLogs(context, podUid);
  const folder = state.logs(uid);
  if (!existsSync(folder)) return [];
  const logs: KeptLog[] = [];
  let left = ANSWER_TOTAL_BYTES;
  for (const file of (await readdir(folder)).sort()) {
    const [, containerName = '', name = ''] = /^([^.]+)\.(.+)$/.exec(file) ?? [];
    const text = endOf(await readFile(join(folder, file), 'utf8'), Math.min(maxBytes || ANSWER_BYTES, left));
    left = Math.max(0, left - Buffer.byteLength(text));
    const { mtime } = await stat(join(folder, file));
    logs.push({ containerName, name, text, endedAt: mtime });
  }
  return logs;
}

/** Removes what has been kept for too long, or is too much. */
export async function removeOldLogs(state: StateDir, now = Date.now()): Promise<void> {
  const folders = await Promise.all(
    (await readdir(state.logsRoot)).filter(isUid).map(async (uid) => {
      const folder = join(state.logsRoot, uid);
      return { folder, at: (await stat(folder)).mtimeMs };
    }),
  );
  folders.sort((a, b) => b.at - a.at);
  const old = folders.filter(({ at }, index) => index >= KEEP_FOLDERS || now - at > KEEP_MS);
  for (const { folder } of old) await rm(folder, { recursive: true, force: true });
}
