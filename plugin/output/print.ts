/** Objects as kubectl prints them with -o; managedFields are left out as there. */
import { readFile } from 'node:fs/promises';
import { KINDS, type KindInfo } from '../../common/api/kinds.js';
import { messageOf } from '../../common/errors.js';
import type { KubeObject } from '../../common/kube/types.js';
import { CliError } from '../cli-error.js';
import type { Terminal } from '../terminal.js';
import { age } from '../text/duration.js';
import { isTemplate, templateOf, type DataFormat, type ObjectFormat, type TemplateFormat } from './format.js';
import { goJson } from './go-text.js';

/** Writes an object in the format that was asked for, or else what is said without one. */
export async function put(
  { out, raw }: Terminal,
  object: KubeObject,
  format: ObjectFormat | undefined,
  resource: string,
  otherwise?: string,
): Promise<void> {
  if (format !== undefined) raw(await printObject(object, format, resource));
  else if (otherwise !== undefined) out(otherwise);
}

/** One object, with the newline at its end where kubectl prints one. */
export async function printObject(
  object: KubeObject,
  format: ObjectFormat,
  resource: string,
): Promise<string> {
  if (format === 'name') return `${resource}/${object.metadata.name}\n`;
  if (format === 'wide') return wideTable([object]);
  return printValue(shown(object), format, [shown(object)]);
}

/** Several objects as a List; `resource` may tell the name of each kind. */
export async function printList(
  objects: readonly KubeObject[],
  format: ObjectFormat,
  resource: string | ((object: KubeObject) => string),
): Promise<string> {
  const nameOf = typeof resource === 'string' ? () => resource : resource;
  if (format === 'name') {
    return objects.map((object) => `${nameOf(object)}/${object.metadata.name}\n`).join('');
  }
  if (format === 'wide') return wideTable(objects);
  const items = objects.map(shown);
  const list = { apiVersion: 'v1', items, kind: 'List', metadata: { resourceVersion: '' } };
  return printValue(list, format, items);
}

/** As --sort-by wants them, else as they come. */
export async function inOrder<T>(objects: readonly T[], path: string | undefined): Promise<readonly T[]> {
  return path === undefined ? objects : (await import('./sort-by.js')).sortBy(objects, path);
}

/** What is no object of the API. */
export function printData(value: unknown, format: DataFormat): Promise<string> {
  return printValue(value, format, []);
}

async function printValue(
  value: unknown,
  format: 'json' | 'yaml' | TemplateFormat,
  rows: readonly unknown[],
): Promise<string> {
  if (isTemplate(format)) return printTemplate(value, format, rows);
  if (format === 'json') return `${goJson(value, '    ')}\n`;
  // Not yaml itself: split off, a CommonJS package has no named exports.
  const { toYaml } = await import('../text/yaml.js');
  return `${toYaml(value)}\n`;
}

async function printTemplate(
  value: unknown,
  format: TemplateFormat,
  rows: readonly unknown[],
): Promise<string> {
  const { as, text } = templateOf(format);
  const [{ parseTemplate, JsonPathError }, { printed, printedAsJson }, columns] = await Promise.all([
    import('./jsonpath-parse.js'),
    import('./jsonpath.js'),
    import('./custom-columns.js'),
  ]);
  try {
    switch (as) {
      case 'jsonpath':
        return printed(parseTemplate(text), value);
      case 'jsonpath-file':
        return printed(parseTemplate(await read(text)), value);
      case 'jsonpath-as-json':
        return printedAsJson(parseTemplate(text), value);
      case 'custom-columns':
        return columns.columnTable(columns.readColumns(text), rows);
      case 'custom-columns-file':
        return columns.columnTable(columns.readColumnsFile(await read(text)), rows);
      default:
        return as satisfies never;
    }
  } catch (error) {
    if (!(error instanceof JsonPathError)) throw error;
    throw new CliError(`-o ${format} cannot be printed: ${error.message}.`, [
      'How to write it: https://kubernetes.io/docs/reference/kubectl/jsonpath/',
    ]);
  }
}

async function read(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new CliError(`The template ${file} cannot be read: ${messageOf(error)}`);
  }
}

/** As `kubectl get -o wide` has it: the columns of the CRD. */
async function wideTable(objects: readonly KubeObject[]): Promise<string> {
  const [{ aligned }, { parseTemplate }, { find }] = await Promise.all([
    import('./custom-columns.js'),
    import('./jsonpath-parse.js'),
    import('./jsonpath.js'),
  ]);
  const info = (KINDS as Record<string, KindInfo | undefined>)[objects[0]?.kind ?? ''];
  const columns = info?.columns ?? [];
  const rows = objects.map((object) => [
    object.metadata.name,
    ...columns.map(({ jsonPath, type }) => {
      const [value] = find(parseTemplate(`{${jsonPath}}`), object).flat();
      if (value === undefined) return type === 'date' ? '<unknown>' : '';
      return type === 'date'
        ? age(Date.now() - Date.parse(String(value as string)))
        : String(value as string);
    }),
  ]);
  return aligned([['NAME', ...columns.map(({ name }) => name.toUpperCase())], ...rows]);
}

function shown(object: KubeObject): KubeObject {
  const { managedFields: _, ...metadata } = object.metadata as KubeObject['metadata'] & {
    managedFields?: unknown;
  };
  return { ...object, metadata };
}
