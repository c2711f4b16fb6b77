/**
 * The process that touches the repository in the agent's place (repository.ts starts it): the same program with other words.
 * It ends with its agent, so that nothing is done behind the back of the next one.
 */
import { pipeline } from 'node:stream/promises';
import { messageOf } from '../../common/errors.js';
import {
  listArchives,
  openFile,
  putArchive,
  RepositoryError,
  removeArchive,
  spaceIn,
} from './repository-files.js';
import type { Sidecar } from './sidecar.js';

/** First argument of a program that is to be such a process. */
export const WORKER_COMMAND = 'repository-worker';

/** What it can be asked for, each with what it answers. */
export interface Jobs {
  space: { asks: object; answers: { freeBytes: number } };
  put: { asks: { from: string; file: string; sidecar: Sidecar }; answers: object };
  list: { asks: { clusterUid: string }; answers: Awaited<ReturnType<typeof listArchives>> };
  remove: { asks: { file: string; checkpointUid: string }; answers: { bytes: number } };
  /** The bytes follow on its standard output. */
  read: { asks: { file: string }; answers: { size: number } };
}

export type Job = {
  [Name in keyof Jobs]: { name: Name; repository: string } & Jobs[Name]['asks'];
}[keyof Jobs];

export type Answer =
  | { kind: 'bytes'; bytes: number }
  | { kind: 'done'; value: Jobs[keyof Jobs]['answers'] }
  | { kind: 'failed'; code: string; message: string };

/** One message says so many bytes more; that they move at all is what the agent wants to know. */
const TELL_BYTES = 16 * 1024 * 1024;

export function serveRepository(): void {
  const tell = (answer: Answer): void => {
    process.send?.(answer);
  };
  process.on('disconnect', () => process.exit(0));
  process.on('message', (job: Job) => {
    work(job, tell).catch((error: unknown) => {
      const code = error instanceof RepositoryError ? error.code : (error as NodeJS.ErrnoException).code;
      tell({ kind: 'failed', code: code ?? '', message: messageOf(error) });
    });
  });
}

async function work(job: Job, tell: (answer: Answer) => void): Promise<void> {
  const { repository } = job;
  switch (job.name) {
    case 'space':
      return tell({ kind: 'done', value: await spaceIn(repository) });
    case 'put': {
      let told = 0;
      await putArchive(repository, job, (bytes) => {
        // Orphaned between two pieces: what is left is found by its sidecar.
        if (!process.connected) process.exit(1);
        if (bytes - told < TELL_BYTES) return;
        told = bytes;
        tell({ kind: 'bytes', bytes });
      });
      return tell({ kind: 'done', value: {} });
    }
    case 'list':
      return tell({ kind: 'done', value: await listArchives(repository, job.clusterUid) });
    case 'remove':
      return tell({ kind: 'done', value: { bytes: await removeArchive(repository, job) } });
    case 'read': {
      const { file, size } = await openFile(`${repository}/${job.file}`);
      tell({ kind: 'done', value: { size } });
      await pipeline(file.createReadStream({ highWaterMark: 1024 * 1024 }), process.stdout);
      return;
    }
  }
}
