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
const XATTR = 'SCHILY.xattr.';
const MAX_PAX_BYTES = 1 << 20;

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
    let pax = new Map<string, string>();
    while (position < end) {
      const header = await reader.at(position, BLOCK);
      if (header.length < BLOCK) throw bad('is cut off');
      if (header.every((byte) => byte === 0)) return;
      checkHeader(header, bad);
      const typeFlag = String.fromCharCode(header[156] ?? 0);
      let size = number(header, 124, 12, bad);
      const contentsAt = position + BLOCK;
      if (typeFlag === 'x') {
        if (size > MAX_PAX_BYTES) throw bad('has an extended header of more than a mebibyte');
        pax = parsePax(await reader.at(contentsAt, size), bad);
        position = contentsAt + padded(size);
        continue;
      }
      const type = TYPES[typeFlag];
      if (!type) throw bad(`holds a member of the unknown type "${typeFlag}"`);
      if (pax.has('size')) size = decimal(pax.get('size') ?? '', bad);
      if (type !== 'file') size = 0;
      const prefix = text(header, 345, 155);
      const plain = (prefix ? `${prefix}/` : '') + text(header, 0, 100);
      // Both names of a sparse file are checked: which one counts depends on the reader.
      if (pax.has('GNU.sparse.name')) normalise(pax.get('path') ?? plain, bad);
      const name = normalise(pax.get('GNU.sparse.name') ?? pax.get('path') ?? plain, bad);
      const linkName = pax.get('linkpath') ?? text(header, 157, 100);
      const xattrs = new Map<string, string>();
      for (const [key, value] of pax) if (key.startsWith(XATTR)) xattrs.set(key.slice(XATTR.length), value);
      yield { name, type, linkName, xattrs };
      pax = new Map();
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
  return field.subarray(0, zero < 0 ? length : zero).toString('utf8');
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
    found.set(key, record.toString('utf8', equals + 1));
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
