/** What is different in each run is made the same, so that screens can be compared. All of it stands here. */

/** https://en.wikipedia.org/wiki/ANSI_escape_code#Select_Graphic_Rendition_parameters */
const NAMES: Record<string, string> = {
  '0': '/',
  '1': 'bold',
  '2': 'dim',
  '22': '/dim',
  '31': 'red',
  '32': 'green',
  '33': 'yellow',
  '36': 'cyan',
  '39': '/color',
};

/** Colours as words: `<green>✔</color>`. */
export function readable(screen: string): string {
  return screen
    .replace(/\u001b\[([\d;]*)m/g, (_, codes: string) =>
      codes
        .split(';')
        .map((code) => `<${NAMES[code === '' ? '0' : code] ?? code}>`)
        .join(''),
    )
    .replace(/ +$/gm, '');
}

/** In order: what is looked for, and what stands there instead. */
const RULES: [RegExp, string][] = [
  // Namespaces of the tests, generated names, UIDs, versions.
  [/lpm-e2e-[0-9a-f]{6}/g, 'NAMESPACE'],
  [/-[bcdfghjklmnpqrstvwxz2-9]{5}(?=[\s.,;:]|$)/gm, '-ID'],
  [/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'UID'],
  [/\b(containerd|crio|CRIU|agent) v?\d[\w.~+-]*/g, '$1 VERSION'],
  // Times, durations, sizes, shares, bars.
  [/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME'],
  [/\b\d+(\.\d+)?\s*(KiB|MiB|GiB|ms|s|m|h)(\d+s)?\b/g, 'N'],
  [/\b\d+%/g, 'N%'],
  [/[█▌]+/g, '█'],
];

/** Where something was replaced the columns have other widths than on the screen: blanks in such a line are made two. */
export function settled(screen: string): string {
  // Words that were broken between a number and its unit belong together.
  return (
    screen
      .replace(/(\d)\n +(KiB|MiB|GiB|ms|s)\b/g, '$1 $2')
      .split('\n')
      .map((line) => {
        const replaced = RULES.reduce((text, [pattern, by]) => text.replace(pattern, by), line);
        return replaced === line ? line : replaced.replace(/(\S) {2,}/g, '$1  ');
      })
      .join('\n')
      // Several events of one second come in any order.
      .replace(/\nEvents:\n[^]*?(?=\nexit code)/, '\nEvents:\n  …')
      // Where the steps of a downtime are broken hangs on their numbers.
      .replace(/(freeze N,[^\n]*)\n +(?=(\w+ )?N\b)/g, '$1 ')
  );
}
