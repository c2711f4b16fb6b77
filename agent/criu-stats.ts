import { BinaryReader } from '@bufbuild/protobuf/wire';
import { readFile } from 'node:fs/promises';

/** CRIU's images begin with two magic numbers, then records of a length and a protobuf message (criu.org/Images). */
const MAGIC_BYTES = 8;
/** StatsEntry.dump and DumpStatsEntry.pages_written (criu/images/stats.proto). */
const DUMP = 1;
const PAGES_WRITTEN = 7;

/** Memory pages that a dump wrote, from its stats-dump; 0 when that cannot be told. */
export async function pagesWritten(statsDump: string): Promise<bigint> {
  const image = await readFile(statsDump).catch(() => Buffer.alloc(0));
  if (image.length < MAGIC_BYTES + 4) return 0n;
  const length = image.readUInt32LE(MAGIC_BYTES);
  const entry = image.subarray(MAGIC_BYTES + 4, MAGIC_BYTES + 4 + length);
  try {
    const dump = field(entry, DUMP);
    return dump instanceof Uint8Array ? BigInt(field(dump, PAGES_WRITTEN)?.toString() ?? 0) : 0n;
  } catch {
    return 0n;
  }
}

/** The value of a field: bytes of a message, or a varint. */
function field(message: Uint8Array, wanted: number): Uint8Array | bigint | undefined {
  const reader = new BinaryReader(message);
  while (reader.pos < reader.len) {
    const [number, type] = reader.tag();
    if (number === wanted) return type === 2 ? reader.bytes() : BigInt(reader.uint64().toString());
    reader.skip(type, number);
  }
  return undefined;
}
