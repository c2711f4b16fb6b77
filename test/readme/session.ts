/** The terminal session at the top of the README: where it stands, and what of it is the same in every run. Pure. */

const BEGIN = '<!-- session: npm run readme -->';
const END = '<!-- /session -->';

/** Columns of the terminal in which it is recorded. */
export const COLUMNS = 100;

/** The session that the README has. Throws where there is none. */
export function sessionIn(readme: string): string {
  const [, rest] = readme.split(`${BEGIN}\n\n\`\`\`text\n`);
  const session = rest?.split(`\n\`\`\`\n\n${END}`)[0];
  if (session === undefined) throw new Error(`The README has no session between ${BEGIN} and ${END}.`);
  return session;
}

export function withSession(readme: string, session: string): string {
  return readme.replace(sessionIn(readme), () => session);
}

/**
 * What is the same in every run: words and their order. Numbers with their units, generated names and how lines are filled and
 * broken (which hangs on the numbers' lengths) are not.
 */
export function shapeOf(text: string): string {
  return text
    .replace(/-[bcdfghjklmnpqrstvwxz2-9]{5} created/g, '-ID created')
    .replace(/\d+m\d+s|\d+(\.\d+)? ?(KiB|MiB|GiB|ms|s)\b/g, 'N')
    .replace(/\s+/g, ' ')
    .trim();
}

/** Of a session the part from one command up to the next. */
export function partOf(session: string, command: RegExp): string {
  const parts = session.split(/^(?=\$ )/m);
  const part = parts.find((each) => command.test(each.split('\n')[0] ?? ''));
  if (part === undefined) throw new Error(`The session has no command like ${command}.`);
  return part;
}
