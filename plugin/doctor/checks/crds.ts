import { GROUP } from '../../../common/api/names.js';
import { KINDS } from '../../../common/api/kinds.js';
import { Check, type Finding } from '../finding.js';
import type { Crd } from '../objects.js';
import type { Observed } from '../observed.js';
import { INSTALL } from './words.js';

/** Whether our kinds are there, with the fields that this program knows. */
export function crds({ crds: { expected, installed, served } }: Observed): Finding[] {
  const check = new Check('crds');
  if ('hidden' in installed) {
    if ('seen' in served && !served.seen)
      return [check.fail(`Not every kind of ${GROUP} is served by this cluster.`, INSTALL)];
    if ('hidden' in served) return [check.unknown(installed.hidden)];
    return [
      check.unknown(`The kinds of ${GROUP} are served; whether with the right fields: ${installed.hidden}`),
    ];
  }
  const names = Object.values(KINDS).map(({ plural }) => `${plural}.${GROUP}`);
  const there = new Map(installed.seen.map((crd) => [crd.metadata.name, crd]));
  const missing = names.filter((name) => !there.has(name));
  if (missing.length > 0) {
    const what =
      missing.length === names.length
        ? 'None of the CRDs is installed.'
        : `CRDs are missing: ${missing.join(', ')}.`;
    return [check.fail(what, INSTALL)];
  }
  const unserved = names.filter((name) => !isEstablished(there.get(name)!));
  if (unserved.length > 0) {
    return [
      check.fail(
        `The API server does not serve: ${unserved.join(', ')}.`,
        `kubectl describe crd ${unserved[0]}`,
      ),
    ];
  }
  const differences = expected
    .filter(({ metadata }) => there.has(metadata.name))
    .map((crd) => ({ name: crd.metadata.name, ...compare(crd, there.get(crd.metadata.name)!) }));
  const older = differences.filter(({ lacks }) => lacks.length > 0);
  if (older.length > 0) {
    const told = older.map(({ name, lacks }) => `${name} has no ${few(lacks)}`).join('; ');
    return [check.fail(`The CRDs are older than this plugin: ${told}.`, INSTALL)];
  }
  const newer = differences.filter(({ more }) => more.length > 0);
  if (newer.length > 0) {
    const told = newer.map(({ name, more }) => `${name} has ${few(more)}`).join('; ');
    return [
      check.warn(
        `The CRDs are newer than this plugin: ${told}. What it does not know it does not show.`,
        'kubectl krew upgrade migrate checkpoint',
      ),
    ];
  }
  return [check.ok(`${names.length} kinds`)];
}

const isEstablished = ({ status }: Crd): boolean =>
  status?.conditions?.some(({ type, status: is }) => type === 'Established' && is === 'True') ?? false;

function compare(expected: Crd, installed: Crd): { lacks: string[]; more: string[] } {
  const [wanted, has] = [fields(expected), fields(installed)];
  return {
    lacks: [...wanted].filter((path) => !has.has(path)),
    more: [...has].filter((path) => !wanted.has(path)),
  };
}

interface Schema {
  properties?: Record<string, Schema>;
  items?: Schema;
  enum?: unknown[];
}

/** The paths of all fields, and of the values of those that take only some: `spec.tcp=Close`. */
function fields(crd: Crd): Set<string> {
  const found = new Set<string>();
  const walk = (schema: Schema | undefined, path: string): void => {
    if (!schema) return;
    for (const value of schema.enum ?? []) found.add(`${path}=${String(value)}`);
    for (const [name, property] of Object.entries(schema.properties ?? {})) {
      const here = path ? `${path}.${name}` : name;
      found.add(here);
      walk(property, here);
    }
    walk(schema.items, path);
  };
  for (const { name, schema } of crd.spec.versions) {
    if (name === 'v1') walk(schema?.openAPIV3Schema as Schema | undefined, '');
  }
  // The API server's own.
  for (const name of ['apiVersion', 'kind', 'metadata']) found.delete(name);
  return found;
}

const few = (names: string[]): string =>
  names.length > 3 ? `${names.slice(0, 3).join(', ')} and ${names.length - 3} more` : names.join(', ');
