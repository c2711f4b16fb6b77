/**
 * A Containerfile of ours has a stage `base` with all that stays the same while only our programs change, and after it a last stage that
 * copies the programs into it and does nothing else. So the base is built once, and the programs are added to it without buildah.
 */

/** A file of the repository and where it lies in the image. */
export interface Copied {
  from: string;
  to: string;
}

/**
 * What the last stage copies.
 *
 * @throws when it does anything else: an image that was put together in two steps would be another than buildah makes of the whole.
 */
export function copiedLast(containerfile: string): Copied[] {
  const instructions = containerfile
    .replace(/^#.*\n/gm, '')
    .replace(/\\\n/g, ' ')
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean);
  const last = instructions.findLastIndex((line) => line.startsWith('FROM '));
  if (instructions[last] !== 'FROM base') {
    throw new Error(`The last stage begins with "${instructions[last] ?? ''}", not with "FROM base".`);
  }
  return instructions.slice(last + 1).map((line) => {
    const [, from, to] = /^COPY ([^-\s]\S*) (\/\S+)$/.exec(line) ?? [];
    if (!from || !to) throw new Error(`The last stage may only copy files into the image, not "${line}".`);
    return { from, to };
  });
}

/** All but the last stage: what the base is made by. */
export const baseOf = (containerfile: string): string =>
  containerfile.slice(0, containerfile.lastIndexOf('\nFROM base\n'));
