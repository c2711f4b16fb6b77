/** Keeps the state in a file between restarts: written some time after a change, whole and atomically. */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import type { Dump, Store } from './store.js';

/** Long enough to gather the writes of one operation, short enough to lose little when the machine dies. */
const delayMs = 500;

interface State {
  store: Dump;
  tokenKey: string;
}

export function readStateFile(path: string): State | undefined {
  if (!existsSync(path)) return undefined;
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as State;
  } catch (error) {
    throw new Error(
      `the state of the cluster in ${path} cannot be read (${error instanceof Error ? error.message : String(error)}): delete the file to start with an empty cluster`,
    );
  }
}

/** Starts writing. The returned function writes what is left and ends it. */
export function writeStateFile(path: string, store: Store, tokenKey: string): () => void {
  let timer: NodeJS.Timeout | undefined;
  let isWriting = false;
  let isDirty = false;
  const content = () => `{"tokenKey":${JSON.stringify(tokenKey)},"store":${store.dump()}}`;
  const write = async () => {
    timer = undefined;
    if (isWriting) return;
    isWriting = true;
    isDirty = false;
    try {
      await writeFile(`${path}.new`, content(), { mode: 0o600 });
      await rename(`${path}.new`, path);
    } finally {
      isWriting = false;
      if (isDirty) schedule();
    }
  };
  const schedule = () => {
    isDirty = true;
    timer ??= setTimeout(
      () =>
        void write().catch((error: unknown) =>
          process.stderr.write(
            `the state of the cluster could not be written to ${path}: ${String(error)}\n`,
          ),
        ),
      delayMs,
    );
  };
  const unsubscribe = store.subscribe(undefined, schedule);
  return () => {
    unsubscribe();
    clearTimeout(timer);
    if (!isDirty) return;
    // Another name than the asynchronous write's, which may still be under way.
    writeFileSync(`${path}.last`, content(), { mode: 0o600 });
    renameSync(`${path}.last`, path);
  };
}
