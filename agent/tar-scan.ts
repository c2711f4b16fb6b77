import { isUtf8 } from 'node:buffer';
import { open, type FileHandle } from 'node:fs/promises';
import { LpmError } from '../common/errors.js';

/**
 * Reads the headers of a tar archive as GNU tar's `--format=posix` writes them (ustar with pax headers, pax(1)), and
 * nothing else: a second opinion on an archive is worth something only if it cannot be read in two ways. What GNU tar would
 * understand differently (GNU long names, global headers, volumes, sparse maps in headers) is refused.
 * Contents are skipped, so that a gigabyte costs a handful of reads.
 */
export type TarType = 'file' | 'hardlink' | 'symlink' | 'directory' | 'fifo' | 'device';

export interface TarMember {
  /** As tar will make it: relative, without leading "./" and trailing "/"; "" is the folder itself. */
  name: string;
  type: TarType;
  linkName: string;
  /** Names and values of extended attributes. */
  xattrs: ReadonlyMap<string, string>;
}

const BLOCK = 512;
const TYPES: Readonly<Record<string, TarType>> = {
  '0': 'file',
  '\0': 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'device',
  '4': 'device',
  '5': 'directory',
  '6': 'fifo',
};
/** pax records that GNU tar acts on and we allow. Sparse files of format 1.0 keep their map in the contents. */
const PAX_KEYS = new Set([
  'path',
  'linkpath',
  'size',
  'mtime',
  'atime',
  'ctime',
  'uid',
  'gid',
  'uname',
  'gname',
  'GNU.sparse.name',
  'GNU.sparse.major',
  'GNU.sparse.minor',
  'GNU.sparse.realsize',
]);
/** Those that are numbers; times may be before 1970 and have fractions. */
const TIME = /^-?\d{1,12}(?:\.\d{1,20})?$/;
const ID = /^\d{1,10}$/;
const NUMBERS: Readonly<Record<string, RegExp>> = { mtime: TIME, atime: TIME, ctime: TIME, uid: ID, gid: ID };
const XATTR = 'SCHILY.xattr.';
const MAX_PAX_BYTES = 1 << 20;
/** Of a number that JavaScript holds exactly. */
const MAX_DIGITS = 15;

class Reader {
  private buffer = Buffer.alloc(0);
  private bufferAt = 0;
  constructor(private readonly file: FileHandle) {}

  async at(position: number, length: number): Promise<Buffer> {
    const from = position - this.bufferAt;
    if (from >= 0 && from + length <= this.buffer.length) return this.buffer.subarray(from, from + length);
    const wanted = Buffer.alloc(Math.max(length, 64 * 1024));
    const { bytesRead } = await this.file.read(wanted, 0, wanted.length, position);
    this.buffer = wanted.subarray(0, bytesRead);
    this.bufferAt = position;
    return this.buffer.subarray(0, length);
  }
}

/**
 * The members of an archive in their order.
 *
 * @throws ArtifactInvalid when anything in it is not as GNU tar writes it
 */
export async function* scanTar(path: string): AsyncGenerator<TarMember> {
  const bad = (what: string): LpmError => new LpmError('ArtifactInvalid', `The archive ${path} ${what}.`);
  const file = await open(path, 'r');
  try {
    const reader = new Reader(file);
    const { size: end } = await file.stat();
    let position = 0;
    let pax: Map<string, string> | undefined;
    while (position < end) {
      const header = await reader.at(position, BLOCK);
      if (header.length < BLOCK) throw bad('is cut off');
      if (header.every((byte) => byte === 0)) {
        if (pax) throw bad('ends after an extended header');
        return;
      }
      checkHeader(header, bad);
      const typeFlag = String.fromCharCode(header[156] ?? 0);
      let size = number(header, 124, 12, bad);
      const contentsAt = position + BLOCK;
      if (typeFlag === 'x') {
        // Whether a second one adds to the first or replaces it depends on the reader.
        if (pax) throw bad('has two extended headers for one member');
        if (size > MAX_PAX_BYTES) throw bad('has an extended header of more than a mebibyte');
        const records = await reader.at(contentsAt, size);
        if (records.length < size) throw bad('is cut off');
        pax = parsePax(records, bad);
        position = contentsAt + padded(size);
        continue;
      }
      const records = pax ?? new Map<string, string>();
      pax = undefined;
      const type = TYPES[typeFlag];
      if (!type) throw bad(`holds a member of the unknown type "${typeFlag}"`);
      const paxSize = records.get('size');
      if (paxSize !== undefined) size = decimal(paxSize, bad);
      const prefix = text(header, 345, 155);
      const plain = records.get('path') ?? (prefix ? `${prefix}/` : '') + text(header, 0, 100);
      const sparseName = records.get('GNU.sparse.name');
      // Both names of a sparse file are checked: which one counts depends on the reader.
      if (sparseName !== undefined) normalise(plain, bad);
      const raw = sparseName ?? plain;
      const name = normalise(raw, bad);
      // GNU tar makes a folder of a file with such a name, and reads its contents as more members.
      if (type !== 'directory' && raw.endsWith('/')) {
        throw bad(`holds "${name}", which is named like a folder but is none`);
      }
      // Not every reader skips what should not be there.
      if (type !== 'file' && size !== 0) throw bad(`holds "${name}", a ${type} with contents`);
      const linkName = records.get('linkpath') ?? text(header, 157, 100);
      if (type === 'symlink' && linkName === '') throw bad(`holds "${name}", a symbolic link to nothing`);
      if (linkName.includes('\0')) throw bad(`holds "${name}", a link to a name with a NUL in it`);
      if ([...records.keys()].some((key) => key.startsWith('GNU.sparse.'))) {
        if (type !== 'file') throw bad(`holds "${name}", a ${type} with holes`);
        await checkSparse(records, reader, contentsAt, size, (what) => bad(`holds "${name}", whose ${what}`));
      }
      const xattrs = new Map<string, string>();
      for (const [key, value] of records) {
        if (key.startsWith(XATTR)) xattrs.set(key.slice(XATTR.length), value);
      }
      yield { name, type, linkName, xattrs };
      position = contentsAt + padded(size);
    }
    throw bad('is cut off');
  } finally {
    await file.close();
  }
}

type Bad = (what: string) => LpmError;

const padded = (size: number): number => Math.ceil(size / BLOCK) * BLOCK;

function text(header: Buffer, at: number, length: number): string {
  const field = header.subarray(at, at + length);
  const zero = field.indexOf(0);
  return decodeName(field.subarray(0, zero < 0 ? length : zero));
}

/**
 * Bytes that are no UTF-8 become lone surrogates (as in Python's "surrogateescape"), so that two names are the same string
 * only when they are the same bytes.
 */
function decodeName(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString('utf8');
  return Array.from(bytes, (byte) => String.fromCharCode(byte < 0x80 ? byte : 0xdc00 + byte)).join('');
}

/**
 * The map of a sparse file of format 1.0: decimal numbers, each on a line, before the data: how many pieces, then offset and
 * length of each. GNU tar reads as many bytes as the map says, whatever the header's size is, so both must agree, or it
 * would look for the next header somewhere else.
 */
async function checkSparse(
  records: ReadonlyMap<string, string>,
  reader: Reader,
  at: number,
  size: number,
  bad: Bad,
): Promise<void> {
  if (records.get('GNU.sparse.major') !== '1' || records.get('GNU.sparse.minor') !== '0') {
    throw bad('holes are not in the format 1.0');
  }
  if (!records.has('GNU.sparse.name')) throw bad('holes come without a name');
  const realSize = records.get('GNU.sparse.realsize') ?? '';
  if (!/^\d{1,15}$/.test(realSize)) throw bad('size with holes is no number');
  let position = at;
  const line = async (): Promise<number> => {
    const start = await reader.at(position, Math.min(MAX_DIGITS + 1, at + size - position));
    const newline = start.indexOf(0x0a);
    const digits = start.toString('latin1', 0, Math.max(newline, 0));
    if (!/^\d+$/.test(digits)) throw bad('map of holes is damaged');
    position += newline + 1;
    return Number(digits);
  };
  let end = 0;
  let data = 0;
  for (let left = await line(); left > 0; left--) {
    const offset = await line();
    const length = await line();
    // Pieces begin on whole blocks of the archive; only the last may end within one.
    if (offset < end || data % BLOCK !== 0) throw bad('map of holes has pieces that overlap or are cut');
    end = offset + length;
    data += length;
  }
  if (end > Number(realSize) || padded(position - at) + data !== size) {
    throw bad('map of holes does not fit its size');
  }
}

function checkHeader(header: Buffer, bad: Bad): void {
  if (header.toString('latin1', 257, 265) !== 'ustar\x0000') throw bad('is not in the POSIX format');
  let sum = 0;
  for (let i = 0; i < BLOCK; i++) sum += i >= 148 && i < 156 ? 0x20 : (header[i] ?? 0);
  if (Number.parseInt(text(header, 148, 8).trim(), 8) !== sum)
    throw bad('has a header whose checksum is wrong');
}

function number(header: Buffer, at: number, length: number, bad: Bad): number {
  const digits = text(header, at, length).trim();
  if (!/^[0-7]*$/.test(digits)) throw bad('has a header with a size that is not octal');
  return digits === '' ? 0 : Number.parseInt(digits, 8);
}

function decimal(value: string, bad: Bad): number {
  if (!/^\d{1,15}$/.test(value)) throw bad('has an extended header with a size that is no number');
  return Number(value);
}

/** Records "length key=value\n", where length counts all of it in bytes. */
function parsePax(records: Buffer, bad: Bad): Map<string, string> {
  const found = new Map<string, string>();
  for (let at = 0; at < records.length;) {
    const space = records.indexOf(0x20, at);
    const length = Number(records.toString('latin1', at, space));
    const record = records.subarray(space + 1, at + length - 1);
    const equals = record.indexOf(0x3d);
    if (space < 0 || !(length > 0) || equals < 0 || records[at + length - 1] !== 0x0a) {
      throw bad('has a damaged extended header');
    }
    const key = record.toString('utf8', 0, equals);
    if (!PAX_KEYS.has(key) && !key.startsWith(XATTR)) throw bad(`has the unknown extended header "${key}"`);
    if (found.has(key)) throw bad(`has the extended header "${key}" twice for one member`);
    const number = NUMBERS[key];
    if (number && !number.test(record.toString('latin1', equals + 1))) {
      throw bad(`has an extended header whose ${key} is no number`);
    }
    found.set(key, decodeName(record.subarray(equals + 1)));
    at += length;
  }
  return found;
}

/** "./a/b/" → "a/b". Refuses what could lead out: absolute names and ".." anywhere. */
function normalise(name: string, bad: Bad): string {
  const parts = name.replace(/\/+$/, '').split('/');
  if (name.startsWith('/') || name.includes('\0')) throw bad(`holds the absolute name "${name}"`);
  if (parts[0] === '.') parts.shift();
  if (parts.some((part) => part === '..' || part === '.' || part === '')) {
    throw bad(`holds the name "${name}", which is not a plain path`);
  }
  return parts.join('/');
}
