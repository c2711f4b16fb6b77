/** CRIU's images as CRIU writes them, of the fields that we read. */
import { MAGIC } from '../../agent/archives/criu-images/image-file.js';

const COMMON = 0x54564319;

const word = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};

/** An image of encoded messages. */
export function criuImage(kind: keyof typeof MAGIC, ...entries: { finish(): Uint8Array }[]): Buffer {
  const head = kind === 'inventory' ? [word(MAGIC[kind])] : [word(COMMON), word(MAGIC[kind])];
  const bodies = entries.map((entry) => Buffer.from(entry.finish()));
  return Buffer.concat([...head, ...bodies.flatMap((body) => [word(body.length), body])]);
}
