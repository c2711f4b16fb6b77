import { createHash, randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { PassThrough, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { pack } from 'tar-stream';
import { EXPORT_TICKET_ANNOTATION } from '../../../common/api/names.js';
import type { KubeClient } from '../../../common/kube/client.js';
import { requireInstalled } from '../../checks/installed.js';
import { CliError } from '../../cli-error.js';
import { EXIT, type ExitCode } from '../../exit-code.js';
import type { KubeFlags } from '../../flags.js';
import type { Invocation } from '../../invocation.js';
import type { Terminal } from '../../terminal.js';
import { size } from '../../text/bytes.js';
import { findCheckpoint, type CheckpointName } from '../find.js';
import { resourceOf, type Checkpoint } from '../kinds.js';
import { judgeRestore } from '../restore/judge.js';
import type { About, AgentPort } from '../transfer/agent-port.js';
import { awaitTransfer, newTicket } from '../transfer/await-transfer.js';
import { archivePath, INDEX_FILE, type ExportIndex } from '../transfer/index-file.js';
import { TransferProgress } from '../transfer/progress.js';

export interface ExportWish {
  name: CheckpointName;
  /** `-` is standard output. */
  file: string;
  plain: boolean;
}

export async function exportCheckpoint(
  invocation: Invocation,
  flags: KubeFlags,
  { name, file, plain }: ExportWish,
): Promise<ExitCode> {
  const terminal = invocation.terminal({ plain });
  const { signal } = invocation.detach;
  if (file === '-' && process.stdout.isTTY) {
    throw new CliError('An archive would make a mess of this terminal.', [
      'Write it to a file (-f FILE), or pipe it on.',
    ]);
  }
  const { client, namespace } = await invocation.connect(flags);
  await requireInstalled(client);
  const checkpoint = await findCheckpoint(client, namespace, name, invocation);
  judgeRestore(checkpoint, invocation);
  const ticket = newTicket();
  // Beside the file, so that it can be renamed; the name of the file is taken only when all of it is there.
  const temporary = `${file}.${randomBytes(4).toString('hex')}.partial`;
  const ask = (sha256: string | null) => annotate(client, checkpoint, sha256);
  try {
    await ask(ticket.sha256);
    const port = await awaitTransfer(client, checkpoint, ticket, signal);
    const index = await indexOf(checkpoint, port);
    const out: Writable =
      file === '-' ? process.stdout : createWriteStream(temporary, { flags: 'wx', mode: 0o600 });
    await write(terminal, port, index, out, signal);
    if (file !== '-') {
      const written = await open(temporary, 'r');
      await written.sync().finally(() => written.close());
      await rename(temporary, file);
    }
    const total = index.archives.reduce((sum, { bytes }) => sum + bytes, 0);
    terminal.err(
      `Exported ${checkpoint.metadata.name}, the checkpoint of pod ${namespace}/${checkpoint.spec.podName}: ${size(total)}${file === '-' ? '' : ` in ${file}`}.`,
    );
    return EXIT.done;
  } catch (error) {
    if (!signal.aborted) throw error;
    terminal.err('Interrupted; nothing is left of the export.');
    return EXIT.detached;
  } finally {
    await rm(temporary, { force: true });
    // When it was read to its end the controller has done so already.
    await ask(null).catch(() => {});
  }
}

async function annotate(
  client: KubeClient,
  { kind, metadata }: Checkpoint,
  sha256: string | null,
): Promise<void> {
  await resourceOf(client, kind).patch(metadata.name, metadata.namespace, {
    metadata: { annotations: { [EXPORT_TICKET_ANNOTATION]: sha256 } },
  });
}

async function indexOf(checkpoint: Checkpoint, port: AgentPort): Promise<ExportIndex> {
  const { kind, metadata, spec, status = {} } = checkpoint;
  const abouts: [string, About][] = [];
  for (const container of containersOf(checkpoint)) abouts.push([container, await port.about(container)]);
  return {
    format: 'kubectl-checkpoint',
    version: 1,
    exportedAt: new Date().toISOString(),
    checkpoint: { kind, name: metadata.name, namespace: metadata.namespace ?? 'default' },
    pod: { name: spec.podName, uid: status.podUID ?? '' },
    archives: abouts.map(([container, { sha256, bytes }]) => ({ container, sha256, bytes })),
    podJSON:
      abouts.map(([, { manifest }]) => manifest?.podJson).find(Boolean) ?? spec.import?.podJSON ?? null,
  };
}

function containersOf(checkpoint: Checkpoint): string[] {
  const { kind, metadata, spec, status } = checkpoint;
  if (kind === 'ContainerCheckpoint') return [spec.containerName];
  const imported = spec.import?.archives.map(({ containerName }) => containerName);
  return imported ?? (status?.containerCheckpoints ?? []).map((name) => name.slice(metadata.name.length + 1));
}

async function write(
  terminal: Terminal,
  port: AgentPort,
  index: ExportIndex,
  out: Writable,
  signal: AbortSignal,
): Promise<void> {
  const total = index.archives.reduce((sum, { bytes }) => sum + bytes, 0);
  const progress = new TransferProgress(terminal, 'exporting', total);
  const tar = pack();
  const through = new PassThrough();
  // Standard output stays open: it is the process's.
  const written = pipeline(tar, through, out, { signal, end: out !== process.stdout });
  const fill = async () => {
    tar.entry({ name: INDEX_FILE, mode: 0o600 }, JSON.stringify(index));
    for (const { container, bytes, sha256 } of index.archives) {
      const hash = createHash('sha256');
      const archive = await port.read(container);
      await pipeline(
        archive,
        async function* (chunks: AsyncIterable<Buffer>) {
          for await (const chunk of progress.counting(chunks)) {
            hash.update(chunk);
            yield chunk;
          }
        },
        tar.entry({ name: archivePath(container), size: bytes, mode: 0o600 }),
        { signal },
      );
      if (hash.digest('hex') !== sha256) {
        throw new CliError(`The archive of container ${container} came with another SHA-256 than it has.`, [
          'Try again; if it happens again, the archive is damaged.',
        ]);
      }
    }
    tar.finalize();
  };
  try {
    await Promise.all([
      written,
      fill().catch((error: Error) => {
        tar.destroy(error);
        throw error;
      }),
    ]);
  } finally {
    progress.end();
  }
}
