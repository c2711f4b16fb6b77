/** Edits between two words: insert, delete, replace, swap of neighbours (optimal string alignment). */
export function distance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, column) => column)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let best = Math.min(at(rows, i - 1, j) + 1, (row[j - 1] ?? 0) + 1, at(rows, i - 1, j - 1) + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        best = Math.min(best, at(rows, i - 2, j - 2) + 1);
      }
      row.push(best);
    }
    rows.push(row);
  }
  return at(rows, a.length, b.length);
}

/**
 * The names that a person may have meant by `word`, nearest first, at most `limit`: those within a third of its length in
 * edits, those that it is a part of (`counter` for `counter-7d9f-x2x1k`), and those that begin nearly like it
 * (`coutner` for the same).
 */
export function near(word: string, names: Iterable<string>, limit = 3): string[] {
  const allowed = Math.max(1, Math.floor(word.length / 3));
  const scored: { name: string; score: number }[] = [];
  for (const name of new Set(names)) {
    if (name === word) continue;
    const edits = distance(word, name);
    if (edits <= allowed) scored.push({ name, score: edits });
    else if (word.length >= 3 && name.includes(word)) scored.push({ name, score: allowed + 1 });
    else if (word.length >= 4 && distance(word, name.slice(0, word.length)) <= allowed) {
      scored.push({ name, score: allowed + 2 });
    }
  }
  scored.sort((x, y) => x.score - y.score || x.name.localeCompare(y.name));
  return scored.slice(0, limit).map(({ name }) => name);
}

/** `"a"`, `"a" or "b"`, `"a", "b" or "c"`. */
export function either(names: string[]): string {
  const quoted = names.map((name) => `"${name}"`);
  const last = quoted.pop() ?? '';
  return quoted.length === 0 ? last : `${quoted.join(', ')} or ${last}`;
}

function at(rows: number[][], i: number, j: number): number {
  return rows[i]?.[j] ?? 0;
}
