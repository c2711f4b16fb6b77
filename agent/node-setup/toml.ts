import { parse, stringify } from 'smol-toml';
import { LpmError, messageOf } from '../../common/errors.js';

export type Value = string | number | boolean | bigint | Date | Value[] | Table;
export interface Table {
  [key: string]: Value;
}

/** @throws RuntimeNotSupported with the file and the line, when it is not TOML */
export function parseToml({ path, text }: { path: string; text: string }): Table {
  try {
    // The parser's tables have no prototype, which makes them differ from any other object when they are compared.
    return structuredClone(parse(text)) as unknown as Table;
  } catch (error) {
    const said = messageOf(error).split('\n')[0] ?? '';
    throw new LpmError('RuntimeNotSupported', `${path} is not valid TOML: ${said}.`, {
      hint: 'The container runtime would not start again with it: mend the file.',
      cause: error,
    });
  }
}

/** Text of a table, with no headers but those of tables that hold values, so that it can stand behind other text. */
export const tomlText = (table: Table): string => stringify(table as Parameters<typeof stringify>[0]);

export const isTable = (value: Value | undefined): value is Table =>
  typeof value === 'object' && !Array.isArray(value) && !(value instanceof Date);

/** The table at the end of a path of keys; undefined when there is none. */
export function tableAt(table: Table | undefined, ...keys: string[]): Table | undefined {
  let found: Value | undefined = table;
  for (const key of keys) found = isTable(found) ? found[key] : undefined;
  return isTable(found) ? found : undefined;
}

export const stringAt = (table: Table | undefined, key: string): string => {
  const value = table?.[key];
  return typeof value === 'string' ? value : '';
};

export const stringsAt = (table: Table | undefined, key: string): string[] => {
  const value = table?.[key];
  return Array.isArray(value) ? value.filter((each) => typeof each === 'string') : [];
};

/** `{ a: { b: leaf } }` of `['a', 'b']`. */
export const nested = (keys: readonly string[], leaf: Value): Table =>
  keys.reduceRight<Value>((inner, key) => ({ [key]: inner }), leaf) as Table;

/** The second on top of the first, table by table. Lists are joined, as containerd 2 does (mergo with its own slice transformer). */
export function merge(lower: Table, upper: Table): Table {
  const merged: Table = { ...lower };
  for (const [key, value] of Object.entries(upper)) {
    const below = merged[key];
    if (isTable(below) && isTable(value)) merged[key] = merge(below, value);
    else if (Array.isArray(below) && Array.isArray(value)) {
      merged[key] = [...below, ...value.filter((each) => !below.includes(each))];
    } else merged[key] = value;
  }
  return merged;
}

/** Without what says nothing (empty strings, lists and tables, 0, false): how a runtime prints what nobody has set. */
export function withoutEmpty(table: Table): Table {
  const kept: Table = {};
  for (const [key, value] of Object.entries(table)) {
    if (value === '' || value === false || value === 0 || value === 0n) continue;
    if (Array.isArray(value) && value.length === 0) continue;
    const inner = isTable(value) ? withoutEmpty(value) : value;
    if (isTable(inner) && Object.keys(inner).length === 0) continue;
    kept[key] = inner;
  }
  return kept;
}
