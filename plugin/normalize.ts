/** kubectl's ways of writing flags that the parser would read otherwise. Pure. */

/** Flags of one letter that take a value, which kubectl takes without a space as well: `-nshop`, `-ojson`. */
const SHORT_WITH_VALUE = /^-([cflnos])(?!=)(.+)$/s;

const DRY_RUNS = ['none', 'server', 'client'];

/**
 * `-v=6`, `-v 6` and `-v6`; a bare `-v` would be an error in kubectl and asks for more here. A bare `--dry-run` asks the
 * server. A parser that knows nothing of this would take the next word for their values.
 */
export function normalize(args: readonly string[]): string[] {
  const out: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] ?? '';
    const next = args[i + 1];
    if (arg === '--') return [...out, ...args.slice(i)];
    if (arg === '-v' || arg === '--v') {
      const level = next !== undefined && /^\d+$/.test(next);
      out.push(`--v=${level ? next : 1}`);
      if (level) i++;
    } else if (/^-v=?\d+$/.test(arg)) out.push(`--v=${arg.replace(/^-v=?/, '')}`);
    else if (arg === '--dry-run') {
      const mode = next !== undefined && DRY_RUNS.includes(next);
      out.push(`--dry-run=${mode ? next : 'server'}`);
      if (mode) i++;
    } else out.push(arg.replace(SHORT_WITH_VALUE, '-$1=$2'));
  }
  return out;
}
