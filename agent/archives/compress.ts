import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { pipeline } from 'node:stream/promises';
import { constants, createGzip, type Gzip } from 'node:zlib';
import { Readable } from 'node:stream';
import { LpmError } from '../../common/errors.js';
import { ArchiveCompression } from '../../proto/gen/lpm/v1/agent.js';
import { hasProgram } from './has-program.js';

/** How compressed files begin (RFC 1952, RFC 8878). */
export const GZIP_MAGIC = Buffer.from([0x1f, 0x8b]);
export const ZSTD_MAGIC = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);

/** The compression that is used for what was asked: where there is no zstd, gzip serves, and the file's name says so. */
export async function usedCompression(asked: ArchiveCompression): Promise<ArchiveCompression> {
  switch (asked) {
    case ArchiveCompression.ARCHIVE_COMPRESSION_GZIP:
      return asked;
    case ArchiveCompression.ARCHIVE_COMPRESSION_ZSTD:
      return (await hasProgram('zstd')) ? asked : ArchiveCompression.ARCHIVE_COMPRESSION_GZIP;
    case ArchiveCompression.ARCHIVE_COMPRESSION_NONE:
    case ArchiveCompression.ARCHIVE_COMPRESSION_UNSPECIFIED:
      return ArchiveCompression.ARCHIVE_COMPRESSION_NONE;
    default:
      throw new LpmError('InvalidArgument', `Unknown compression ${asked}.`);
  }
}

/** @param used as usedCompression answers */
export function compress(
  plain: AsyncIterable<Uint8Array>,
  used: ArchiveCompression,
): AsyncIterable<Uint8Array> {
  switch (used) {
    case ArchiveCompression.ARCHIVE_COMPRESSION_GZIP:
      // Memory is mostly zeroes and text: the fastest level gets most of what there is to get.
      return through(plain, createGzip({ level: constants.Z_BEST_SPEED, chunkSize: 256 * 1024 }));
    case ArchiveCompression.ARCHIVE_COMPRESSION_ZSTD:
      return throughProgram(plain, ['zstd', '--quiet', '--stdout', '--threads=0', '-3']);
    default:
      return plain;
  }
}

async function* through(source: AsyncIterable<Uint8Array>, transform: Gzip): AsyncGenerator<Buffer> {
  const feeding = pipeline(Readable.from(source, { objectMode: false }), transform);
  // Whoever reads gets the error too.
  feeding.catch(() => {});
  try {
    yield* transform as AsyncIterable<Buffer>;
    await feeding;
  } finally {
    transform.destroy();
  }
}

async function* throughProgram(
  source: AsyncIterable<Uint8Array>,
  [program, ...args]: [string, ...string[]],
): AsyncGenerator<Buffer> {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => (said = `${said}${chunk.toString()}`.slice(-1000)));
  const ended = once(child, 'close') as Promise<[number | null, string | null]>;
  const feeding = pipeline(source, child.stdin).then(
    () => undefined,
    (error: unknown) => error as NodeJS.ErrnoException,
  );
  ended.catch(() => {});
  try {
    yield* child.stdout as AsyncIterable<Buffer>;
    const [code] = await ended;
    const failed = await feeding;
    // Of a program that has ended in the middle its own words tell more than the broken pipe; of a source that failed, the
    // program knows nothing.
    if (failed && failed.code !== 'EPIPE') throw failed;
    if (code !== 0) throw new Error(`${program} ended with exit code ${code}: ${said.trim()}`);
  } finally {
    child.kill('SIGKILL');
  }
}
