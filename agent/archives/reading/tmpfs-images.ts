import { createReadStream } from 'node:fs';
import type { OciSpec } from '../../oci.js';
import { ByteReader } from './byte-reader.js';
import { gunzip } from './decode.js';

/**
 * The contents of a container's own tmpfs mounts (/dev) are tar archives among CRIU's images, which CRIU has GNU tar unpack as
 * root. They are checked as nested archives are (tar-check.ts), in the format of GNU tar and with the few devices that every
 * container has.
 */
export const TMPFS_IMAGE = /^tmpfs-.*\.tar\.gz\.img$/;

const BLOCK = 512;
const MAX_BYTES = 1024 ** 3;
/** Character devices that a runtime makes in every container (runtime-spec, config-linux.md), and the terminals. */
const DEVICES = ['1:3', '1:5', '1:7', '1:8', '1:9', '5:0', '5:1', '5:2'];

/** What is wrong with one of them; undefined when nothing is. */
export async function tmpfsProblem(path: string, spec: OciSpec): Promise<string | undefined> {
  const given = (spec.linux?.devices ?? []).map(({ type, major, minor }) => `${type} ${major}:${minor}`);
  const allowed = new Set([...DEVICES.map((device) => `c ${device}`), ...given]);
  const reader = new ByteReader(gunzip(createReadStream(path)));
  const seen = new Map<string, string>();
  let bytes = 0;
  try {
    for (;;) {
      const header = await reader.take(BLOCK);
      if (header.length < BLOCK) return 'ends in the middle';
      if (header.every((byte) => byte === 0)) return undefined;
      const type = String.fromCharCode(header[156]!).replace('\0', '0');
      const raw = field(header, 345, 155) ? '' : field(header, 0, 100);
      const size = octal(header, 124, 12);
      if (!isIntact(header) || size === undefined) return 'is damaged';
      if (!'0123456'.includes(type)) return `has a member of the type ${JSON.stringify(type)}`;
      if (type !== '0' && size > 0) return `has ${JSON.stringify(raw)}, which is no file, with contents`;
      if (raw.endsWith('/') !== (type === '5'))
        return `has ${JSON.stringify(raw)}, which is not what its name says`;
      const name = raw.replace(/^\.\//, '').replace(/\/$/, '');
      const folders = name.split('/');
      if (
        raw === '' ||
        name.startsWith('/') ||
        folders.some((each) => each === '..' || (each === '' && name !== ''))
      ) {
        return `has a member called ${JSON.stringify(raw)}`;
      }
      if (seen.has(name)) return `has ${JSON.stringify(name)} twice`;
      if (name !== '' && seen.get(folders.slice(0, -1).join('/')) !== '5') {
        return `has ${JSON.stringify(name)} without its folder`;
      }
      if (type === '1' && seen.get(field(header, 157, 100).replace(/^\.\//, '')) !== '0') {
        return `has ${JSON.stringify(name)}, a link to what is no file before it`;
      }
      const device = `${type === '4' ? 'b' : 'c'} ${octal(header, 329, 8)}:${octal(header, 337, 8)}`;
      if ((type === '3' || type === '4') && !allowed.has(device)) {
        return `has the device ${JSON.stringify(name)} (${device}), which the pod does not have`;
      }
      seen.set(name, type);
      let left = Math.ceil(size / BLOCK) * BLOCK;
      bytes += left;
      if (bytes > MAX_BYTES) return 'is larger than a gibibyte';
      for await (const piece of reader.pieces(left)) left -= piece.length;
    }
  } catch {
    return 'is damaged';
  } finally {
    await reader.close();
  }
}

function field(header: Buffer, at: number, length: number): string {
  const zero = header.indexOf(0, at);
  return header.toString('latin1', at, zero < 0 ? at + length : Math.min(zero, at + length));
}

function octal(header: Buffer, at: number, length: number): number | undefined {
  const match = /^ *([0-7]+)[ \0]*$/.exec(header.toString('latin1', at, at + length));
  return match ? Number.parseInt(match[1]!, 8) : undefined;
}

function isIntact(header: Buffer): boolean {
  const sum = header.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 0x20 : byte), 0);
  return header.toString('latin1', 257, 262) === 'ustar' && octal(header, 148, 8) === sum;
}
