/** Tar archives byte by byte, so that tests can write what no tar program writes. */

export interface RawMember {
  name: string | Buffer;
  /** Type flag; '0' is a file. */
  type?: string;
  linkName?: string | Buffer;
  data?: Buffer | string;
  /** What the header says; the data's length when not given. */
  size?: number | Buffer;
  /** Added to the right checksum. */
  checksumOff?: number;
  magic?: string;
  mode?: number;
  uid?: number;
}

const BLOCK = 512;

const bytesOf = (text: string | Buffer): Buffer => (typeof text === 'string' ? Buffer.from(text) : text);

export const padded = (data: Buffer): Buffer =>
  Buffer.concat([data, Buffer.alloc((BLOCK - (data.length % BLOCK)) % BLOCK)]);

const octal = (value: number, digits: number): string => `${value.toString(8).padStart(digits, '0')}\0`;

export function rawHeader(member: RawMember): Buffer {
  const header = Buffer.alloc(BLOCK);
  const data = bytesOf(member.data ?? '');
  bytesOf(member.name).copy(header, 0, 0, 100);
  header.write(octal(member.mode ?? 0o644, 7), 100, 'latin1');
  header.write(octal(member.uid ?? 0, 7), 108, 'latin1');
  header.write(octal(0, 7), 116, 'latin1');
  const size = member.size ?? data.length;
  if (typeof size === 'number') header.write(octal(size, 11), 124, 'latin1');
  else size.copy(header, 124, 0, 12);
  header.write(octal(0, 11), 136, 'latin1');
  header.write(member.type ?? '0', 156, 'latin1');
  bytesOf(member.linkName ?? '').copy(header, 157, 0, 100);
  header.write(member.magic ?? 'ustar\x0000', 257, 'latin1');
  header.fill(' ', 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0) + (member.checksumOff ?? 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return header;
}

export function rawMember(member: RawMember): Buffer {
  return Buffer.concat([rawHeader(member), padded(bytesOf(member.data ?? ''))]);
}

/** An extended header for the member that follows. */
export function paxHeader(records: readonly (readonly [key: string, value: string | Buffer])[]): Buffer {
  const lines = records.map(([key, value]) => {
    const rest = Buffer.concat([Buffer.from(` ${key}=`), bytesOf(value), Buffer.from('\n')]);
    let length = rest.length;
    while (length !== rest.length + String(length).length) length = rest.length + String(length).length;
    return Buffer.concat([Buffer.from(String(length)), rest]);
  });
  return rawMember({ name: 'PaxHeaders/x', type: 'x', data: Buffer.concat(lines) });
}

export const END_OF_TAR = Buffer.alloc(2 * BLOCK);

export const rawTar = (...parts: (RawMember | Buffer)[]): Buffer =>
  Buffer.concat([...parts.map((part) => (Buffer.isBuffer(part) ? part : rawMember(part))), END_OF_TAR]);
