const UNITS = ['KiB', 'MiB', 'GiB', 'TiB'];

/** A size for people: `512 B`, `1.2 MiB`, `45 MiB`. */
export function size(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  let value = bytes;
  let unit = 'B';
  for (const next of UNITS) {
    if (value < 1023.95) break;
    value /= 1024;
    unit = next;
  }
  return `${value < 99.95 ? value.toFixed(1) : Math.round(value)} ${unit}`;
}

/** Done of a total in one unit: `12.3 of 45.0 MiB`; only what is done when the total is not known. */
export function share(done: number, total: number | undefined): string {
  if (total === undefined || total === 0) return size(done);
  const [totalValue, unit = ''] = size(total).split(' ');
  const power = UNITS.indexOf(unit) + 1;
  const value = Math.min(done, total) / 1024 ** power;
  const digits = totalValue?.includes('.') ? 1 : 0;
  return `${value.toFixed(digits)} of ${totalValue} ${unit}`;
}
