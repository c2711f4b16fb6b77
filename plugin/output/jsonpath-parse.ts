/**
 * Reads the JSONPath of kubectl: text with expressions in braces (https://kubernetes.io/docs/reference/kubectl/jsonpath/).
 * What it takes is what k8s.io/client-go/util/jsonpath takes; a test compares both by the real kubectl.
 */

export type Node =
  | { kind: 'text'; text: string }
  | { kind: 'value'; value: string | number | boolean }
  | { kind: 'field'; name: string }
  | { kind: 'wildcard' }
  | { kind: 'recursive' }
  | { kind: 'slice'; from?: number; to?: number; single: boolean; step?: number }
  | { kind: 'union'; paths: Node[][] }
  | { kind: 'filter'; left: Node[]; operator: string; right: Node[] }
  | { kind: 'range' }
  | { kind: 'end' };

/** A template: each element is a text or one expression in braces. */
export type Template = ({ kind: 'text'; text: string } | { kind: 'expression'; nodes: Node[] })[];

export class JsonPathError extends Error {
  override readonly name = 'JsonPathError';
}

export function parseTemplate(text: string): Template {
  const template: Template = [];
  let at = 0;
  while (at < text.length) {
    const open = text.indexOf('{', at);
    if (open < 0) break;
    if (open > at) template.push({ kind: 'text', text: text.slice(at, open) });
    const reader = new ExpressionReader(text, open + 1);
    template.push({ kind: 'expression', nodes: reader.read() });
    at = reader.at;
  }
  if (at < text.length) template.push({ kind: 'text', text: text.slice(at) });
  return template;
}

/** A path as `--sort-by` and custom columns take it: with or without braces and the first dot. */
export function parsePath(text: string): Template {
  const found = /^\{\.?([^{}]+)\}$|^\.?([^{}]+)$/.exec(text);
  const path = found?.[1] ?? found?.[2];
  if (path === undefined) {
    throw new JsonPathError(`"${text}" is no path: write it as .metadata.name or {.metadata.name}`);
  }
  return parseTemplate(`{.${path}}`);
}

/** What ends a name. */
const TERMINATORS = new Set([' ', '\t', '\r', '\n', '.', ',', '[', ']', '$', '@', '{', '}', '']);

class ExpressionReader {
  constructor(
    private readonly text: string,
    /** Where the next character is read; behind the closing brace in the end. */
    public at: number,
  ) {}

  read(): Node[] {
    const nodes: Node[] = [];
    for (;;) {
      const rest = this.text.slice(this.at);
      const [next = ''] = rest;
      if (next === '' || next === '\n' || next === '\r') throw new JsonPathError('unclosed action');
      if (next === '}') {
        this.at++;
        return nodes;
      }
      if (rest.startsWith('[?(')) nodes.push(this.#filter());
      else if (rest.startsWith('..')) this.#recursive(nodes);
      else if (next === ' ' || next === '@' || next === '$') this.at++;
      else if (next === '[') nodes.push(...this.#brackets());
      else if (next === '"' || next === "'") nodes.push({ kind: 'value', value: this.#quoted() });
      else if (next === '.') {
        this.at++;
        nodes.push(this.#field());
      } else if (/[-+\d]/.test(next)) nodes.push({ kind: 'value', value: this.#number() });
      else if (/[\p{L}\p{N}_]/u.test(next)) nodes.push(this.#word());
      else throw new JsonPathError(`unrecognized character in action: ${next}`);
    }
  }

  #recursive(nodes: Node[]): void {
    if (nodes.at(-1)?.kind === 'recursive') throw new JsonPathError('invalid multiple recursive descent');
    this.at += 2;
    nodes.push({ kind: 'recursive' });
    if (/[\p{L}\p{N}_]/u.test(this.text[this.at] ?? '')) nodes.push(this.#field());
  }

  #field(): Node {
    const name = this.#untilTerminator();
    return name === '*' ? { kind: 'wildcard' } : { kind: 'field', name: name.replaceAll('\\', '') };
  }

  #word(): Node {
    const word = this.#untilTerminator();
    if (word === 'true' || word === 'false') return { kind: 'value', value: word === 'true' };
    if (word === 'range' || word === 'end') return { kind: word };
    throw new JsonPathError(`unrecognized identifier ${word}`);
  }

  #untilTerminator(): string {
    const from = this.at;
    while (!TERMINATORS.has(this.text[this.at] ?? '')) this.at += this.text[this.at] === '\\' ? 2 : 1;
    return this.text.slice(from, this.at);
  }

  #number(): number {
    const [text = ''] = /^[-+]?[\d.]*/.exec(this.text.slice(this.at)) ?? [];
    const value = Number(text);
    if (text === '' || Number.isNaN(value)) throw new JsonPathError(`cannot parse number ${text}`);
    this.at += text.length;
    return value;
  }

  #quoted(): string {
    const found = /^(["'])((?:(?!\1)[^\\\n]|\\.)*)\1/.exec(this.text.slice(this.at));
    if (!found) throw new JsonPathError('unterminated quoted string');
    this.at += found[0].length;
    return unescaped(found[2] ?? '');
  }

  /** `[0]`, `[1:3]`, `[*]`, `['name']`, `[0,2]` */
  #brackets(): Node[] {
    const close = this.text.indexOf(']', this.at);
    if (close < 0) throw new JsonPathError('unterminated array');
    const inside = this.text.slice(this.at + 1, close);
    this.at = close + 1;
    const parts = inside.split(',');
    if (parts.length > 1) {
      return [{ kind: 'union', paths: parts.map((part) => expression(`[${part.trim()}]`)) }];
    }
    const key = /^'([^']*)'$/.exec(inside);
    if (key) return expression(`.${key[1]}`);
    return [sliceOf(inside === '*' ? ':' : inside)];
  }

  #filter(): Node {
    this.at += '[?('.length;
    const from = this.at;
    let quote = '';
    for (;;) {
      const next = this.text[this.at++];
      if (next === undefined || next === '\n') throw new JsonPathError('unterminated filter');
      if (quote) {
        if (next === quote && this.text[this.at - 2] !== '\\') quote = '';
      } else if (next === '"' || next === "'") quote = next;
      else if (next === ')') break;
    }
    const condition = this.text.slice(from, this.at - 1);
    if (this.text[this.at++] !== ']') throw new JsonPathError('unclosed array expect ]');
    const compared = /^([^!<>=]+)([!<>=]+)(.+?)$/.exec(condition);
    if (!compared) return { kind: 'filter', left: expression(condition), operator: 'exists', right: [] };
    const [, left = '', operator = '', right = ''] = compared;
    return { kind: 'filter', left: expression(left), operator, right: expression(right) };
  }
}

function expression(text: string): Node[] {
  return new ExpressionReader(`${text}}`, 0).read();
}

function sliceOf(text: string): Node {
  const found = /^(-?\d*)(:-?\d*)?(:-?\d*)?$/.exec(text);
  if (!found || text === '') throw new JsonPathError(`invalid array index ${text}`);
  const number = (part: string | undefined): number | undefined => {
    const digits = part?.replace(/^:/, '') ?? '';
    return digits === '' ? undefined : Number(digits);
  };
  const [from, to, step] = [number(found[1]), number(found[2]), number(found[3])];
  return {
    kind: 'slice',
    single: found[2] === undefined,
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    ...(step === undefined ? {} : { step }),
  };
}

const ESCAPES: Record<string, string> = { a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' };

function unescaped(text: string): string {
  return text.replace(
    /\\(?:x([\da-f]{2})|u([\da-f]{4})|([0-7]{3})|(.))/gis,
    (_, hex?: string, unicode?: string, octal?: string, letter?: string) =>
      letter !== undefined
        ? (ESCAPES[letter] ?? letter)
        : String.fromCharCode(octal === undefined ? parseInt(hex ?? unicode ?? '', 16) : parseInt(octal, 8)),
  );
}
