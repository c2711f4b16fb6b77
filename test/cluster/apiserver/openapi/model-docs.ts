/**
 * Descriptions and required fields of the built-in kinds. The generated models carry them only in their type
 * declarations, which lie beside them in @kubernetes/client-node; they are read when a schema is first published.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import * as models from '@kubernetes/client-node';

export interface ModelDocs {
  description: string;
  fields: Map<string, { description: string; isRequired: boolean }>;
}

const folder = join(
  dirname(createRequire(import.meta.url).resolve('@kubernetes/client-node')),
  'gen',
  'models',
);
const known = new Map<string, ModelDocs>();

export function modelDocs(model: string): ModelDocs {
  let docs = known.get(model);
  if (!docs) known.set(model, (docs = readDocs(model)));
  return docs;
}

function readDocs(model: string): ModelDocs {
  const fields: ModelDocs['fields'] = new Map();
  let source: string;
  try {
    source = readFileSync(join(folder, `${model}.d.ts`), 'utf8');
  } catch {
    // Without declarations (a pruned installation) the schema is published without words.
    return { description: '', fields };
  }
  const names = fieldNames(model);
  for (const match of source.matchAll(/(?:\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*)?'([^']+)'(\?)?: /g)) {
    const [, comment = '', property = '', optional] = match;
    const field = names.get(property) ?? property;
    fields.set(field, { description: commentText(comment), isRequired: optional === undefined });
  }
  const before = source.slice(0, source.indexOf('export declare class'));
  const comment = before.slice(before.lastIndexOf('/**') + 3, before.lastIndexOf('*/'));
  return { description: commentText(comment), fields };
}

/** Field names in JSON by property name: the generator renames words that JavaScript reserves. */
function fieldNames(model: string): Map<string, string> {
  const type = (
    models as unknown as Record<string, { attributeTypeMap?: { name: string; baseName: string }[] }>
  )[model];
  return new Map((type?.attributeTypeMap ?? []).map(({ name, baseName }) => [name, baseName]));
}

function commentText(comment: string): string {
  return comment
    .split('\n')
    .map((line) => line.replace(/^\s*\*? ?/, ''))
    .join('\n')
    .trim()
    .replace(/\\(['"])/g, '$1');
}
