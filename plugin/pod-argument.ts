import { UsageError } from './cli-error.js';

const POD_WORDS = new Set(['pod', 'pods', 'po']);

export interface NamedKind {
  /** As typed before the slash; empty for a plain name. */
  kind: string;
  name: string;
}

/** Reads `NAME`, `KIND/NAME` or `KIND NAME` for the given kinds, as kubectl does. */
export function readNamed(words: readonly string[], kinds: ReadonlySet<string>, what: string): NamedKind {
  const [first = '', second, third] = words;
  if (third !== undefined) throw new UsageError(`One ${what} at a time: what is "${third}"?`);
  const slash = first.indexOf('/');
  if (slash >= 0) {
    const kind = first.slice(0, slash).toLowerCase();
    const name = first.slice(slash + 1);
    if (!kinds.has(kind)) throw new UsageError(`"${first}" is not a ${what}.`);
    if (name === '') throw new UsageError(`The name is missing in "${first}".`);
    if (second !== undefined) throw new UsageError(`One ${what} at a time: what is "${second}"?`);
    return { kind, name };
  }
  if (second !== undefined) {
    if (kinds.has(first.toLowerCase())) return { kind: first.toLowerCase(), name: second };
    throw new UsageError(`One ${what} at a time: what is "${second}"?`);
  }
  if (first === '') throw new UsageError(`Which ${what}?`);
  return { kind: '', name: first };
}

/** True when a word names a pod beyond doubt (`pod/list`), so that it cannot be meant as a subcommand. */
export function isExplicitPod(word: string): boolean {
  return POD_WORDS.has(word.split('/')[0] ?? '') && word.includes('/');
}
