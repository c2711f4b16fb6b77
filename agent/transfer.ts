import { createHash, type Hash } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { link, copyFile, open, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ChannelCredentials, ServerWritableStream, ServiceError } from '@grpc/grpc-js';
import { agentDnsName } from '../common/api/names.js';
import { closeClient } from '../common/grpc/close-client.js';
import { LpmError, messageOf } from '../common/errors.js';
import { faultPoint } from '../common/fault-point.js';
import {
  AgentServiceClient,
  type PullArtifactsRequest,
  type PullArtifactsResponse,
} from '../proto/gen/lpm/v1/agent.js';
import { isArtifactPath, type ArtifactFile } from './artifacts.js';
import type { Context } from './context.js';
import { usableCheckpoint } from './fence.js';
import { isLabel } from './names.js';
import { pacedWrites } from './paced-writes.js';
import { fromServiceError } from './rpc-errors.js';

/** One message's worth of file contents (PullArtifactsResponse.data). */
const CHUNK_BYTES = 256 * 1024;
/** HTTP/2 window of the pulling side: as much may be on its way unread (grpc-js sets it for clients only). */
const WINDOW_BYTES = 16 * 1024 * 1024;

/** A file as it arrived. */
export interface ReceivedFile extends ArtifactFile {
  /** Hex. */
  sha256: string;
}

/** Serves PullArtifacts: all files of a finished checkpoint, each with the hash of what was sent. */
export async function sendArtifacts(
  context: Context,
  checkpointUid: string,
  call: ServerWritableStream<PullArtifactsRequest, PullArtifactsResponse>,
): Promise<void> {
  const manifest = await usableCheckpoint(context, checkpointUid);
  const write = pacedWrites(call, 'The pulling agent');
  const send = (part: NonNullable<PullArtifactsResponse['part']>): Promise<void> =>
    write({ part }, part.$case === 'data' ? part.value.length : 0);
  let bytes = 0;
  for (const { container, path, size } of manifest.files) {
    await send({ $case: 'start', value: { containerName: container, path, size: BigInt(size) } });
    const full = join(context.state.artifacts(checkpointUid), container, path);
    FAULT: await faultPoint('agent.pullArtifacts.sending');
    // A dump is a few large files and dozens of tiny ones: a round through the thread pool for each would take longer than
    // all their bytes.
    if (size <= CHUNK_BYTES) {
      const data = readFileSync(full);
      if (data.length !== size)
        throw new LpmError('ArtifactInvalid', `The artifact ${container}/${path} has changed.`);
      if (size > 0) await send({ $case: 'data', value: data });
      await send({ $case: 'end', value: { sha256: createHash('sha256').update(data).digest() } });
      bytes += size;
      continue;
    }
    const hash = createHash('sha256');
    const file = await open(full, 'r');
    try {
      // The next chunk is read while the one before is hashed, encrypted and sent.
      let ahead = readChunk(file, 0, size);
      let sent = 0;
      while (sent < size) {
        const data = await ahead;
        if (data.length === 0) break;
        sent += data.length;
        ahead = readChunk(file, sent, size);
        // When sending fails, nobody asks for it any more.
        ahead.catch(() => {});
        hash.update(data);
        await send({ $case: 'data', value: data });
      }
      if (sent !== size)
        throw new LpmError('ArtifactInvalid', `The artifact ${container}/${path} has shrunk.`);
    } finally {
      await file.close();
    }
    await send({ $case: 'end', value: { sha256: hash.digest() } });
    bytes += size;
  }
  context.metrics.add('lpm_agent_bytes_sent_total', '', bytes);
  await send({ $case: 'complete', value: { files: manifest.files.length, bytes: BigInt(bytes) } });
}

/** One message's worth of a file from a position on; nothing at its end. */
async function readChunk(file: FileHandle, at: number, size: number): Promise<Buffer> {
  // A new buffer each time: the one before may still wait to be written to the connection.
  const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, size - at));
  if (chunk.length === 0) return chunk;
  const { bytesRead } = await file.read(chunk, 0, chunk.length, at);
  return chunk.subarray(0, bytesRead);
}

export interface Source {
  checkpointUid: string;
  /** "IP:port" of the agent that holds the checkpoint. */
  address: string;
  /** Its certificate must name this node. */
  nodeName: string;
}

/** A client of another node's agent, for what is much. The address is an IP; its certificate must name the node. */
export function connectAgent(
  credentials: ChannelCredentials,
  address: string,
  nodeName: string,
): AgentServiceClient {
  const name = agentDnsName(nodeName);
  return new AgentServiceClient(address, credentials, {
    'grpc.ssl_target_name_override': name,
    'grpc.default_authority': name,
    'grpc.max_receive_message_length': 4 * CHUNK_BYTES,
    'grpc-node.flow_control_window': WINDOW_BYTES,
  });
}

/**
 * Pulls all files of a checkpoint from another agent into `folder`/<container>/<path>.
 *
 * @param onBytes called with how many bytes have arrived so far
 * @param signal ends it early
 * @throws TransferFailed when the connection breaks or a hash differs, ArtifactInvalid for a name outside the known layout
 */
export async function pullArtifacts(
  credentials: ChannelCredentials,
  source: Source,
  folder: string,
  onBytes: (bytes: number) => void,
  signal?: AbortSignal,
): Promise<ReceivedFile[]> {
  const client = connectAgent(credentials, source.address, source.nodeName);
  const peer = `node ${source.nodeName}`;
  const receiver = new Receiver(folder, peer);
  const stream = client.pullArtifacts({ checkpointUid: source.checkpointUid });
  const cancel = (): void => stream.cancel();
  signal?.addEventListener('abort', cancel);
  if (signal?.aborted) cancel();
  try {
    for await (const message of stream as AsyncIterable<PullArtifactsResponse>) {
      FAULT: await faultPoint('agent.restore.receiving');
      receiver.take(message);
      onBytes(receiver.bytes);
    }
    return receiver.finish();
  } catch (error) {
    if (error instanceof LpmError) throw error;
    if (typeof (error as ServiceError).code === 'number') throw fromServiceError(error as ServiceError, peer);
    throw new LpmError('TransferFailed', `${peer}: ${messageOf(error)}.`, { cause: error });
  } finally {
    signal?.removeEventListener('abort', cancel);
    receiver.close();
    stream.cancel();
    void closeClient(client);
  }
}

/** Writes what a stream of parts says, and believes none of it. */
class Receiver {
  bytes = 0;
  private readonly files: ReceivedFile[] = [];
  private current: { file: ArtifactFile; fd: number; hash: Hash; got: number } | undefined;
  private complete = false;

  constructor(
    private readonly folder: string,
    private readonly peer: string,
  ) {}

  // Synchronous: the page cache takes a chunk faster than a thread of the pool is woken for it.
  take({ part }: PullArtifactsResponse): void {
    if (!part || this.complete) throw this.bad('sent something unknown');
    switch (part.$case) {
      case 'start':
        return this.begin(part.value.containerName, part.value.path, Number(part.value.size));
      case 'data':
        return this.data(part.value);
      case 'end':
        return this.end(part.value.sha256);
      case 'complete':
        if (
          this.current ||
          part.value.files !== this.files.length ||
          Number(part.value.bytes) !== this.bytes
        ) {
          throw this.bad('sent another number of files or bytes than it says');
        }
        this.complete = true;
    }
  }

  finish(): ReceivedFile[] {
    if (!this.complete) throw this.bad('ended before everything was sent');
    return this.files;
  }

  close(): void {
    if (this.current) closeSync(this.current.fd);
    this.current = undefined;
  }

  private begin(container: string, path: string, size: number): void {
    if (this.current) throw this.bad('began a file within another');
    if (!isLabel(container) || !isArtifactPath(path)) {
      throw new LpmError(
        'ArtifactInvalid',
        `${this.peer} sent a file of the unknown name "${container}/${path}".`,
      );
    }
    const full = join(this.folder, container, path);
    mkdirSync(dirname(full), { recursive: true, mode: 0o700 });
    const fd = openSync(full, 'wx', 0o600);
    this.current = { file: { container, path, size }, fd, hash: createHash('sha256'), got: 0 };
  }

  private data(data: Uint8Array): void {
    if (!this.current) throw this.bad('sent data without a file');
    const { file, fd, hash } = this.current;
    if (this.current.got + data.length > file.size) throw this.bad(`sent more of ${file.path} than it said`);
    hash.update(data);
    // One write may take less than it was given.
    for (let at = 0; at < data.length;) at += writeSync(fd, data, at);
    this.current.got += data.length;
    this.bytes += data.length;
  }

  private end(sha256: Uint8Array): void {
    if (!this.current) throw this.bad('ended a file that it had not begun');
    const { file, hash, got } = this.current;
    const digest = hash.digest();
    if (got !== file.size || !digest.equals(sha256)) throw this.bad(`sent ${file.path} damaged`);
    this.close();
    this.files.push({ ...file, sha256: digest.toString('hex') });
  }

  private bad(what: string): LpmError {
    return new LpmError('TransferFailed', `${this.peer} ${what}.`);
  }
}

/** The same for a checkpoint that lies on this node: links where they can be had, else copies. */
export async function linkArtifacts(
  context: Context,
  checkpointUid: string,
  folder: string,
): Promise<ArtifactFile[]> {
  const manifest = await usableCheckpoint(context, checkpointUid);
  for (const { container, path } of manifest.files) {
    const from = join(context.state.artifacts(checkpointUid), container, path);
    const to = join(folder, container, path);
    mkdirSync(dirname(to), { recursive: true, mode: 0o700 });
    await link(from, to).catch(() => copyFile(from, to));
  }
  return manifest.files;
}
