import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract, type Header } from 'tar-stream';
import { API_VERSION } from '../../../common/api/names.js';
import type { PodCheckpoint } from '../../../common/api/schema.js';
import { awaitOutcome } from '../../await-outcome.js';
import { requireInstalled } from '../../checks/installed.js';
import { CliError } from '../../cli-error.js';
import { EXIT, type ExitCode } from '../../exit-code.js';
import type { KubeFlags } from '../../flags.js';
import { IDLE } from '../../idle.js';
import type { Invocation } from '../../invocation.js';
import { nameFor } from '../../object-name.js';
import { sentence } from '../../progress/summary.js';
import type { Terminal } from '../../terminal.js';
import { size } from '../../text/bytes.js';
import { printable } from '../../text/printable.js';
import { create } from '../run.js';
import type { AgentPort } from '../transfer/agent-port.js';
import { awaitTransfer, newTicket } from '../transfer/await-transfer.js';
import { archivePath, INDEX_FILE, parseIndex, type ExportIndex } from '../transfer/index-file.js';
import { TransferProgress } from '../transfer/progress.js';

type Entry = Readable & { header: Header };

export interface ImportWish {
  /** `-` is standard input. */
  file: string;
  name?: string;
  timeoutMs: number;
  plain: boolean;
}

const MOST_INDEX_BYTES = 8 * 1024 * 1024;
/** spec.import.podJSON takes no more. */
const MOST_POD_BYTES = 1_048_576;

export async function importCheckpoint(
  invocation: Invocation,
  flags: KubeFlags,
  wish: ImportWish,
): Promise<ExitCode> {
  const terminal = invocation.terminal(wish);
  const { signal } = invocation.detach;
  const { client, namespace } = await invocation.connect(flags);
  await requireInstalled(client);
  const tar = extract();
  const source: Readable = wish.file === '-' ? process.stdin : createReadStream(wish.file);
  let broken: Error | undefined;
  const reading = pipeline(source, tar, { signal }).catch((error: Error) => {
    broken ??= error;
    tar.destroy(error);
  });
  const entries = tar[Symbol.asyncIterator]() as unknown as AsyncIterator<Entry>;
  let withdraw = async (): Promise<void> => {};
  try {
    const index = await readIndex(entries, wish.file);
    const ticket = newTicket();
    const checkpoint = (await create(client, wanted(index, namespace, ticket.sha256, wish))) as PodCheckpoint;
    const { name, uid } = checkpoint.metadata;
    withdraw = () => client.podCheckpoints.delete(name, namespace, uid ? { uid } : {}).catch(() => {});
    terminal.err(`podcheckpoint.lpm.my.domain/${name} created`);
    const port = await awaitTransfer(client, checkpoint, ticket, signal);
    await upload(terminal, port, index, entries);
    const { how, object } = await awaitOutcome<PodCheckpoint>({
      resource: client.podCheckpoints,
      name,
      namespace,
      display: {
        update: () => {},
        note: (text) => terminal.err(`note: ${text}`),
        end: () => Promise.resolve(),
      },
      timeoutMs: wish.timeoutMs,
      detach: signal,
      idle: IDLE,
    });
    if (how === 'failed')
      throw new CliError(`The import failed: ${printable(sentence(object?.status?.message ?? ''))}`);
    if (how !== 'succeeded') throw new CliError(`The import ${name} did not come to its end.`);
    withdraw = async () => {};
    const total = index.archives.reduce((sum, { bytes }) => sum + bytes, 0);
    terminal.out(`Imported the checkpoint of pod ${index.pod.name} as ${namespace}/${name}, ${size(total)}.`);
    terminal.err(`Look at it with: ${invocation.again(`${invocation.program} describe ${name}`)}`);
    terminal.err(`Bring it back with: ${invocation.again(`${invocation.program} restore ${name}`)}`);
    return EXIT.done;
  } catch (error) {
    await withdraw();
    // A file that ends too early cuts the upload: then the agent's end complains first, of the consequence.
    if (!signal.aborted) throw explainFile(broken ?? error, wish.file);
    terminal.err('Interrupted; nothing is left of the import.');
    return EXIT.detached;
  } finally {
    tar.destroy();
    source.destroy();
    await reading;
  }
}

function explainFile(error: unknown, file: string): unknown {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return new CliError(`There is no file ${file}.`);
  if (code === 'EACCES' || code === 'EISDIR')
    return new CliError(`The file ${file} cannot be read: ${message}.`);
  if (/tar header|Unexpected end of data/i.test(message ?? '')) {
    return new CliError(`The file ${file} is damaged or cut off.`, ['Export the checkpoint again.']);
  }
  return error;
}

async function readIndex(entries: AsyncIterator<Entry>, file: string): Promise<ExportIndex> {
  const { value, done } = await entries.next();
  if (done || value.header.name !== INDEX_FILE) {
    throw new CliError(`The file ${file} is no export of a checkpoint.`, [
      'Make one with: kubectl checkpoint export NAME -f FILE',
    ]);
  }
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of value as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MOST_INDEX_BYTES) throw new CliError(`The index of ${file} is too large.`);
    chunks.push(chunk);
  }
  return parseIndex(Buffer.concat(chunks).toString('utf8'));
}

function wanted(
  index: ExportIndex,
  namespace: string,
  ticketSHA256: string,
  wish: ImportWish,
): PodCheckpoint {
  const { pod, podJSON } = index;
  const fits = podJSON !== null && Buffer.byteLength(podJSON) <= MOST_POD_BYTES;
  return {
    apiVersion: API_VERSION,
    kind: 'PodCheckpoint',
    metadata: { name: wish.name ?? nameFor(pod.name), namespace },
    spec: {
      podName: pod.name,
      timeoutSeconds: Math.ceil(wish.timeoutMs / 1000),
      import: {
        ticketSHA256,
        podUID: pod.uid,
        archives: index.archives.map(({ container, sha256, bytes }) => ({
          containerName: container,
          sha256,
          sizeBytes: bytes,
        })),
        ...(fits ? { podJSON } : {}),
      },
    },
  };
}

async function upload(
  terminal: Terminal,
  port: AgentPort,
  index: ExportIndex,
  entries: AsyncIterator<Entry>,
): Promise<void> {
  const total = index.archives.reduce((sum, { bytes }) => sum + bytes, 0);
  const progress = new TransferProgress(terminal, 'importing', total);
  try {
    for (const { container, bytes } of index.archives) {
      const { value: entry, done } = await entries.next();
      if (done || entry.header.name !== archivePath(container) || entry.header.size !== bytes) {
        throw new CliError(
          `The file does not hold the archive of container ${container} that its index lists.`,
          ['It is damaged or cut off: export the checkpoint again.'],
        );
      }
      await port.write(container, bytes, Readable.from(progress.counting(entry as AsyncIterable<Buffer>)));
    }
  } finally {
    progress.end();
  }
}
