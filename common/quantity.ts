/** Amounts of bytes as Kubernetes writes them (resource.Quantity): 500Mi, 10Gi, 2G, 1048576. */

const UNITS: Record<string, number> = {
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  Ki: 1024,
  Mi: 1024 ** 2,
  Gi: 1024 ** 3,
  Ti: 1024 ** 4,
  Pi: 1024 ** 5,
};

/** Whole bytes; undefined when the text is no amount. */
export function parseBytes(text: string): number | undefined {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)(k|[MGTP]|[KMGTP]i)?$/.exec(text.trim()) ?? [];
  if (digits === undefined) return undefined;
  const bytes = Math.ceil(Number(digits) * UNITS[unit ?? '']!);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}
