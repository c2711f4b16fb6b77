import { LpmError } from '../../../common/errors.js';
import { ByteReader } from './byte-reader.js';

/** One member of an archive while it streams by. */
export interface TarEntry {
  name: string;
  type: 'file' | 'directory' | 'other';
  /** Bytes of contents. */
  size: number;
  /** The contents, to be read before the next entry is asked for; what is left of them then is skipped. */
  contents: () => AsyncGenerator<Buffer>;
}

const BLOCK = 512;
const MAX_PAX_BYTES = 64 * 1024;
/** Writers fill their last record; GNU tar's are 10 KiB, and nobody needs more than this. */
const MAX_PADDING = 1024 * 1024;
const MAX_SIZE = 2 ** 43;
/**
 * What an extended header (pax(1)) may say. Names are not among it, as no entry of a checkpoint has a long one, and times and
 * attributes mean nothing here.
 */
const PAX_KEYS = /^(size|[mac]time|uid|gid|uname|gname|SCHILY\.xattr\..+)$/;

/**
 * The members of a tar archive in their order, for archives of which nothing is known: the POSIX format only, in which every
 * reader sees the same members, and of its extensions only what a large file needs.
 *
 * @throws ArtifactInvalid when it is anything else, cut off, or does not end where it says
 */
export async function* tarEntries(source: AsyncIterable<Uint8Array>): AsyncGenerator<TarEntry> {
  const reader = new ByteReader(source);
  let last = '';
  const bad = (what: string): LpmError =>
    new LpmError('ArtifactInvalid', `It ${what}${last && ` (after ${last})`}.`);
  let extended: Map<string, string> | undefined;
  try {
    for (;;) {
      const header = await reader.take(BLOCK);
      if (header.length < BLOCK) throw bad('is cut off');
      if (isZero(header)) break;
      const { name, typeFlag, size: headerSize } = parseHeader(header, bad);
      if (typeFlag === 'x') {
        if (extended) throw bad('has two extended headers for one entry');
        if (headerSize > MAX_PAX_BYTES) throw bad('has an extended header of more than 64 KiB');
        const records = await reader.take(headerSize);
        if (records.length < headerSize) throw bad('is cut off in an extended header');
        await skipPadding(reader, headerSize, bad);
        extended = parsePax(records, bad);
        continue;
      }
      const size = sizeOf(headerSize, extended, bad);
      extended = undefined;
      const type = typeOf(typeFlag);
      if (!type) throw bad(`holds "${name}" of the unknown type ${JSON.stringify(typeFlag)}`);
      if (type !== 'file' && size > 0) throw bad(`holds "${name}", which is no file and has contents`);
      if (type === 'file' && name.endsWith('/')) throw bad(`holds "${name}", a file named like a folder`);
      last = `"${name}"`;
      let left = size;
      yield {
        name,
        type,
        size,
        contents: async function* () {
          for await (const piece of reader.pieces(left)) {
            left -= piece.length;
            yield piece;
          }
          if (left > 0) throw bad(`is cut off in the middle of "${name}"`);
        },
      };
      for await (const piece of reader.pieces(left)) left -= piece.length;
      if (left > 0) throw bad('is cut off');
      await skipPadding(reader, size, bad);
    }
    if (extended) throw bad('ends after an extended header');
    const second = await reader.take(BLOCK);
    if (second.length < BLOCK || !isZero(second)) throw bad('has no proper end');
    let padding = 0;
    for await (const piece of reader.rest()) {
      padding += piece.length;
      if (padding > MAX_PADDING || !isZero(piece)) throw bad('has something after its end');
    }
  } finally {
    await reader.close();
  }
}

type Bad = (what: string) => LpmError;

const ZEROS = Buffer.alloc(64 * 1024);
function isZero(bytes: Buffer): boolean {
  for (let at = 0; at < bytes.length; at += ZEROS.length) {
    const piece = bytes.subarray(at, at + ZEROS.length);
    if (!piece.equals(ZEROS.subarray(0, piece.length))) return false;
  }
  return true;
}

/** Regular files and folders; links, devices and FIFOs are told as "other". */
function typeOf(flag: string): TarEntry['type'] | undefined {
  if (flag === '0' || flag === '\0') return 'file';
  if (flag === '5') return 'directory';
  return '1' <= flag && flag <= '6' ? 'other' : undefined;
}

function parseHeader(header: Buffer, bad: Bad): { name: string; typeFlag: string; size: number } {
  if (header.toString('latin1', 257, 265) !== 'ustar\x0000')
    throw bad('is no tar archive in the POSIX format');
  const sum = header.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 0x20 : byte), 0);
  if (octal(header, 148, 8) !== sum) throw bad('has a header whose checksum is wrong');
  const prefix = text(header, 345, 155);
  const name = (prefix ? `${prefix}/` : '') + text(header, 0, 100);
  const size = octal(header, 124, 12) ?? largeSize(header);
  if (size === undefined) throw bad(`holds ${JSON.stringify(name)} with a size that is no number`);
  return { name, typeFlag: String.fromCharCode(header[156]!), size };
}

/** Bytes up to the first NUL. Names with anything but ASCII keep it as Latin-1: no file of a checkpoint has one. */
function text(header: Buffer, at: number, length: number): string {
  const field = header.subarray(at, at + length);
  const zero = field.indexOf(0);
  return field.toString('latin1', 0, zero < 0 ? length : zero);
}

function octal(header: Buffer, at: number, length: number): number | undefined {
  const digits = header.toString('latin1', at, at + length);
  const match = /^ *([0-7]+)[ \0]*$/.exec(digits);
  return match ? Number.parseInt(match[1]!, 8) : undefined;
}

/** The form of GNU and Go for what 11 octal digits cannot hold: 0x80, then the number in base 256. Never for less. */
function largeSize(header: Buffer): number | undefined {
  const field = header.subarray(124, 136);
  if (field[0] !== 0x80) return undefined;
  const size = BigInt(`0x${field.toString('hex', 1)}`);
  return size >= 2n ** 33n && size <= BigInt(MAX_SIZE) ? Number(size) : undefined;
}

function sizeOf(headerSize: number, extended: ReadonlyMap<string, string> | undefined, bad: Bad): number {
  const said = extended?.get('size');
  if (said === undefined) return headerSize;
  if (!/^[1-9]\d{0,14}$/.test(said) || Number(said) > MAX_SIZE) throw bad('has a size that is no number');
  // Only what does not fit into the header stands here; then the header says nothing or the same.
  if (Number(said) !== headerSize && (headerSize !== 0 || Number(said) < 2 ** 33)) {
    throw bad('gives two sizes for one entry');
  }
  return Number(said);
}

async function skipPadding(reader: ByteReader, size: number, bad: Bad): Promise<void> {
  const length = (BLOCK - (size % BLOCK)) % BLOCK;
  const padding = await reader.take(length);
  if (padding.length < length) throw bad('is cut off');
}

/** Records "length key=value\n", where length counts all of it in bytes. */
function parsePax(records: Buffer, bad: Bad): Map<string, string> {
  const found = new Map<string, string>();
  for (let at = 0; at < records.length;) {
    const space = records.indexOf(0x20, at);
    const digits = space < 0 ? '' : records.toString('latin1', at, space);
    const length = /^[1-9]\d{0,5}$/.test(digits) ? Number(digits) : 0;
    const record = records.subarray(space + 1, at + length - 1);
    const equals = record.indexOf(0x3d);
    if (at + length > records.length || equals < 1 || records[at + length - 1] !== 0x0a) {
      throw bad('has a damaged extended header');
    }
    const key = record.toString('utf8', 0, equals);
    if (!PAX_KEYS.test(key)) throw bad(`has the extended header ${JSON.stringify(key)}`);
    if (found.has(key)) throw bad(`has the extended header ${JSON.stringify(key)} twice for one entry`);
    found.set(key, record.toString('latin1', equals + 1));
    at += length;
  }
  return found;
}
