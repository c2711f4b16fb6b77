/** How CRIU writes its images (criu/include/magic.h): two magic numbers, the inventory only one, then its entries. */
const COMMON = 0x54564319;
const SERVICE = 0x55105940;
export const MAGIC = {
  inventory: 0x58313116,
  pstree: 0x50273030,
  core: 0x55053847,
  ids: 0x54432030,
  fdinfo: 0x56213732,
  files: 0x56303138,
  pagemap: 0x56084025,
  mountpoints: 0x55563928,
  utsns: 0x54473203,
  netns: 0x55933752,
} as const;

/** An entry is a length and a message; nothing that we read has blobs between them. */
export class DamagedImage extends Error {}

/**
 * The messages of an image, as bytes.
 *
 * @throws DamagedImage
 */
export function* imageEntries(image: Buffer, kind: keyof typeof MAGIC): Generator<Buffer> {
  let at = 0;
  const word = (): number => {
    if (at + 4 > image.length) throw new DamagedImage(`the image of ${kind} is cut off`);
    at += 4;
    return image.readUInt32LE(at - 4);
  };
  let magic = word();
  // Images of before version 1.1 have the second one only; the inventory still has.
  if (magic === COMMON || magic === SERVICE) magic = word();
  if (magic !== MAGIC[kind]) throw new DamagedImage(`the image of ${kind} is none of CRIU's`);
  while (at < image.length) {
    const length = word();
    if (length > image.length - at) throw new DamagedImage(`the image of ${kind} is cut off`);
    yield image.subarray(at, at + length);
    at += length;
  }
}

/** The messages of an image, decoded. */
export function* decoded<Message>(
  image: Buffer,
  kind: keyof typeof MAGIC,
  type: { decode(input: Uint8Array): Message },
): Generator<Message> {
  for (const entry of imageEntries(image, kind)) {
    let message: Message;
    try {
      message = type.decode(entry);
    } catch (error) {
      throw new DamagedImage(`the image of ${kind} cannot be decoded: ${String(error)}`);
    }
    yield message;
  }
}
