/** "1.7.24~ds1" or "v2.1.9" or "1.36.3-dev" as numbers; zeros when there are none. */
export function parseVersion(text: string): { major: number; minor: number } {
  const [, major = '0', minor = '0'] = /(\d+)\.(\d+)/.exec(text) ?? [];
  return { major: Number(major), minor: Number(minor) };
}

export function atLeast(text: string, major: number, minor: number): boolean {
  const found = parseVersion(text);
  return found.major > major || (found.major === major && found.minor >= minor);
}
