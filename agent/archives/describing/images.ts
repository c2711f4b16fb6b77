import { DamagedImage, decoded, type MAGIC } from '../criu-images/image-file.js';
import type { Gathered } from './gather.js';

/** CRIU's images whose name is like that, in the order of their numbers. */
export function imagesNamed(gathered: Gathered, pattern: RegExp): { number: number; bytes: Buffer }[] {
  const found: { number: number; bytes: Buffer }[] = [];
  for (const [path, bytes] of gathered.contents) {
    const name = path.slice('checkpoint/'.length);
    if (path.startsWith('checkpoint/') && pattern.test(name)) {
      found.push({ number: Number(/\d+/.exec(name)?.[0] ?? 0), bytes });
    }
  }
  return found.sort((a, b) => a.number - b.number);
}

/** As many of an image's messages as can be read; none of what is not there. */
export function messages<Message>(
  image: Buffer | undefined,
  kind: keyof typeof MAGIC,
  type: { decode(input: Uint8Array): Message },
): Message[] {
  const found: Message[] = [];
  if (!image) return found;
  try {
    for (const message of decoded(image, kind, type)) found.push(message);
  } catch (error) {
    if (!(error instanceof DamagedImage)) throw error;
  }
  return found;
}
