/**
 * Edits of other people's TOML files that leave every other byte as it is, and that are taken back exactly: no parser that writes
 * the file again would keep its comments.
 */
import { LpmError } from '../../common/errors.js';
import { BLOCK_BEGIN, BLOCK_END, FILE_HEADER } from './names.js';
import { parseToml, stringsAt } from './toml.js';

const LINE_END = ' # by kubectl-migrate';

/** A file that is ours as a whole. */
export const ownFile = (body: string): string => `${FILE_HEADER}\n${body}`;

export const isOwnFile = (text: string): boolean => text.startsWith(`${FILE_HEADER}\n`);

/** Puts text at a file's end. What begins with a table's header may stand there, whatever is before it. */
export const addBlock = (text: string, body: string): string =>
  `${text}\n${BLOCK_BEGIN}\n${body.trimEnd()}\n${BLOCK_END}\n`;

function removeBlock(text: string): string {
  const begin = text.indexOf(`\n${BLOCK_BEGIN}\n`);
  const end = text.indexOf(`\n${BLOCK_END}\n`, begin);
  return begin < 0 || end < 0 ? text : text.slice(0, begin) + text.slice(end + BLOCK_END.length + 2);
}

/**
 * Makes containerd's configuration import a pattern: a line of its own at the top, where no table has begun yet, or one more element
 * of the list that is there.
 *
 * @throws RuntimeNotSupported when the list is written in a way that is not understood
 */
export function addImport(path: string, text: string, pattern: string): string {
  const before = parseToml({ path, text });
  const element = JSON.stringify(pattern);
  if (before.imports === undefined) return `imports = [${element}]${LINE_END}\n${text}`;
  const edited = text.replace(/^([ \t]*imports[ \t]*=[ \t]*\[)/m, `$1${element}, `);
  const expected = [pattern, ...stringsAt(before, 'imports')];
  if (JSON.stringify(stringsAt(parseToml({ path, text: edited }), 'imports')) === JSON.stringify(expected)) {
    return edited;
  }
  throw new LpmError('RuntimeNotSupported', `The list "imports" of ${path} cannot be added to.`, {
    hint: `Add ${element} to it yourself, or write each entry of the list in brackets behind "imports =".`,
  });
}

function removeImport(text: string, pattern: string): string {
  const element = JSON.stringify(pattern);
  return text.replace(`imports = [${element}]${LINE_END}\n`, '').replace(`[${element}, `, '[');
}

/** A file as it was before us; undefined when it was made by us. */
export function withoutOurs(text: string, pattern: string): string | undefined {
  return isOwnFile(text) ? undefined : removeImport(removeBlock(text), pattern);
}
