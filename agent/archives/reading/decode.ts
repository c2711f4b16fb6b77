import { spawn } from 'node:child_process';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { LpmError, messageOf } from '../../../common/errors.js';
import { AGE_MAGIC } from '../age.js';
import { GZIP_MAGIC, ZSTD_MAGIC } from '../compress.js';
import { ByteReader } from './byte-reader.js';

/** Decrypts a file of the age format, or says why it cannot be. */
export type Decrypt = (source: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>;

/**
 * The tar within an archive's bytes. What it is wrapped in is told by its first bytes, as its name may be anybody's: encrypted
 * or not, then compressed or not, in this order and each once.
 */
export async function* decode(
  source: AsyncIterable<Uint8Array>,
  decrypt: Decrypt,
): AsyncGenerator<Uint8Array> {
  const reader = new ByteReader(source);
  try {
    const start = await reader.take(AGE_MAGIC.length);
    const all = reader.rest(start);
    yield* decompress(start.equals(AGE_MAGIC) ? decrypt(all) : all);
  } finally {
    // A decrypter that has refused has not begun to read, and one that is left in the middle lets go of nothing.
    await reader.close();
  }
}

async function* decompress(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = new ByteReader(source);
  const start = await reader.take(ZSTD_MAGIC.length);
  const all = reader.rest(start);
  if (start.equals(ZSTD_MAGIC)) yield* unzstd(all);
  else if (start.subarray(0, GZIP_MAGIC.length).equals(GZIP_MAGIC)) yield* gunzip(all);
  else yield* all;
}

export async function* gunzip(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const unzip = createGunzip();
  let cause: unknown;
  // The pipeline ends the stream with the error of whichever end it came from.
  const feeding = pipeline(source, unzip).catch((error: unknown) => (cause = error));
  try {
    for await (const chunk of unzip) yield chunk as Buffer;
    await feeding;
    if (cause) throw cause as Error;
  } catch (error) {
    throw compressionError('gzip', error);
  } finally {
    unzip.destroy();
    await feeding;
  }
}

/** By the program, as Node's zlib has no zstd before version 22. It takes at most 128 MiB of memory, whatever a frame asks for. */
async function* unzstd(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const child = spawn('zstd', ['--decompress', '--stdout', '--quiet', '--no-progress', '--memory=128MiB'], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const ended = new Promise<string>((resolve) => {
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => (said = (said + chunk.toString('utf8')).slice(0, 1000)));
    child.on('error', (error) => resolve(`the program zstd cannot be run: ${messageOf(error)}`));
    child.on('close', (code) =>
      resolve(code === 0 ? '' : said.trim() || `zstd ended with exit code ${code}`),
    );
  });
  let cause: unknown;
  const feeding = pipeline(source, child.stdin).catch((error: unknown) => {
    // That zstd reads no further is told better by zstd itself.
    if ((error as NodeJS.ErrnoException).code !== 'EPIPE') cause = error;
    child.kill('SIGKILL');
  });
  try {
    for await (const chunk of child.stdout) yield chunk as Buffer;
    const failure = await ended;
    await feeding;
    if (cause) throw cause as Error;
    if (failure) throw new Error(failure);
  } catch (error) {
    throw compressionError('zstd', error);
  } finally {
    child.kill('SIGKILL');
    child.stdout.destroy();
    await ended;
    await feeding;
  }
}

function compressionError(format: string, error: unknown): LpmError {
  if (error instanceof LpmError) return error;
  return new LpmError('ArtifactInvalid', `Its ${format} compression is damaged: ${messageOf(error)}.`, {
    cause: error,
  });
}
