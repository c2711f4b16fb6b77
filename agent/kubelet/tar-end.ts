import { open } from 'node:fs/promises';

const BLOCK = 512;

/**
 * Whether a tar archive is there to its end: every member's contents, and then the end mark (two blocks of zeros, pax(1)).
 * Headers only are read. What the members are is none of its business: that is checked by whoever unpacks them.
 */
export async function hasTarEnd(path: string): Promise<boolean> {
  const file = await open(path, 'r');
  try {
    const { size: end } = await file.stat();
    const block = Buffer.alloc(BLOCK);
    let position = 0;
    let paxSize: number | undefined;
    while (position + BLOCK <= end) {
      await file.read(block, 0, BLOCK, position);
      if (block.every((byte) => byte === 0)) return position + 2 * BLOCK <= end;
      if (!checksumHolds(block)) return false;
      const own = sizeOf(block);
      const type = String.fromCharCode(block[156]!);
      const size = type === 'x' || type === 'g' ? own : (paxSize ?? own);
      if (!Number.isSafeInteger(size) || size < 0) return false;
      if (type === 'x') paxSize = await sizeInPax(file, position + BLOCK, Math.min(size, 1 << 20));
      else if (type !== 'g') paxSize = undefined;
      position += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
    }
    return false;
  } finally {
    await file.close();
  }
}

function checksumHolds(header: Buffer): boolean {
  let sum = 0;
  for (let i = 0; i < BLOCK; i++) sum += i >= 148 && i < 156 ? 0x20 : header[i]!;
  return Number.parseInt(header.toString('latin1', 148, 156).replace(/\0.*/, '').trim(), 8) === sum;
}

/** Octal, or binary where the first bit is set (GNU, for more than 8 GiB). */
function sizeOf(header: Buffer): number {
  if ((header[124]! & 0x80) !== 0) return Number(header.readBigUInt64BE(128));
  const digits = header.toString('latin1', 124, 136).replace(/\0.*/, '').trim();
  return digits === '' ? 0 : Number.parseInt(digits, 8);
}

async function sizeInPax(
  file: Awaited<ReturnType<typeof open>>,
  position: number,
  length: number,
): Promise<number | undefined> {
  const records = Buffer.alloc(length);
  await file.read(records, 0, length, position);
  const [, digits] = /(?:^|\n)\d+ size=(\d+)\n/.exec(records.toString('latin1')) ?? [];
  return digits === undefined ? undefined : Number(digits);
}
