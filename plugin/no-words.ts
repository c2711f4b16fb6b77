import { UsageError } from './cli-error.js';

/** For commands that are about all there is: whoever names something expects it to count. */
export function requireNoWords(command: string, words: readonly string[], hints: string[] = []): void {
  if (words.length > 0)
    throw new UsageError(`"${command}" takes no name: what is "${words.join(' ')}"?`, hints);
}
