/** Reads the counter's output: the proof that nothing was lost and nothing done twice. */

/** The numbers N of all `Count=N` in a text, in order. */
export function countsIn(text: string): number[] {
  return [...text.matchAll(/Count=(\d+)/g)].map((match) => Number(match[1]));
}

/** Undefined when the counts are 1..N, each once and in order; else a sentence that names the first wrong place. */
export function countProblem(counts: number[]): string | undefined {
  if (counts.length === 0) return 'there is no count at all';
  const wrong = counts.findIndex((count, index) => count !== index + 1);
  if (wrong === -1) return undefined;
  const before = counts[wrong - 1];
  const what = before === undefined ? 'the first count is' : `after ${before} comes`;
  return `${what} ${counts[wrong]} (line ${wrong + 1} of ${counts.length})`;
}
