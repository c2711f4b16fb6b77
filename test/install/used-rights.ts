/**
 * What the controller asks of the API server, read from its source: each use of a resource of the client (`client.pods.delete(…)`,
 * or `client.pods` handed to a function) with the verbs of RBAC that it needs. What is new and not understood is an error, so
 * that the manifests are never behind the code.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { GROUP } from '../../common/api/names.js';
import { KINDS } from '../../common/api/kinds.js';
import { repository } from '../cluster/paths.js';

/** Property of the client → API group and plural. */
const resources: Record<string, { group: string; plural: string }> = {
  pods: { group: '', plural: 'pods' },
  nodes: { group: '', plural: 'nodes' },
  namespaces: { group: '', plural: 'namespaces' },
  events: { group: '', plural: 'events' },
  configMaps: { group: '', plural: 'configmaps' },
  leases: { group: 'coordination.k8s.io', plural: 'leases' },
  ...Object.fromEntries(
    Object.values(KINDS).map(({ kind, plural }) => [
      `${kind[0]!.toLowerCase()}${kind.slice(1)}s`,
      { group: GROUP, plural },
    ]),
  ),
};

/** Method of ResourceClient → verbs; those that begin with "status" are verbs on the status. */
const methods: Record<string, string[]> = {
  get: ['get'],
  find: ['get'],
  list: ['list'],
  create: ['create'],
  replace: ['update'],
  replaceStatus: ['status update'],
  patch: ['patch'],
  patchStatus: ['status patch'],
  delete: ['delete'],
  watch: ['watch'],
};

/** Functions that a resource is handed to → what they do with it. */
const helpers: Record<string, string[]> = {
  // controller/caches.ts
  follow: ['list', 'watch'],
  // controller/checkpoint/objects.ts
  createOrFind: ['create', 'get'],
  remove: ['delete'],
  '#bound': ['get', 'status update'],
  '#update': ['get', 'status update'],
  // controller/checkpoint/update-status.ts
  updateStatus: ['get', 'status update'],
  // controller/status/recorder.ts
  StatusRecorder: ['get', 'status update'],
  // controller/events.ts
  EventRecorder: ['create', 'patch'],
};

/** "group/resource[/status] verb" → where it is used first. */
export function usedRights(folder = 'controller'): Map<string, string> {
  const found = new Map<string, string>();
  for (const file of readdirSync(join(repository, folder), { recursive: true }) as string[]) {
    if (!file.endsWith('.ts') || file.endsWith('.test.ts')) continue;
    const path = join(folder, file);
    const source = ts.createSourceFile(
      path,
      readFileSync(join(repository, path), 'utf8'),
      ts.ScriptTarget.Latest,
      true,
    );
    const visit = (node: ts.Node): void => {
      if (ts.isPropertyAccessExpression(node) && isClient(node.expression)) {
        const resource = resources[node.name.text];
        const line = source.getLineAndCharacterOfPosition(node.getStart()).line + 1;
        for (const verb of resource ? verbs(node, `${path}:${line}`) : []) {
          const [sub, word] = verb.includes(' ') ? verb.split(' ') : ['', verb];
          const right = `${resource!.group}/${resource!.plural}${sub ? `/${sub}` : ''} ${word ?? ''}`;
          if (!found.has(right)) found.set(right, `${path}:${line}`);
        }
      }
      ts.forEachChild(node, visit);
    };
    visit(source);
  }
  return found;
}

/** `client`, `this.client`, `parts.client`, `options.client`, `kube` … */
const isClient = (node: ts.Expression): boolean =>
  ['client', 'kube'].includes(
    ts.isPropertyAccessExpression(node) ? node.name.text : ts.isIdentifier(node) ? node.text : '',
  );

function verbs(use: ts.PropertyAccessExpression, where: string): string[] {
  const { parent } = use;
  if (ts.isPropertyAccessExpression(parent)) {
    const known = methods[parent.name.text];
    if (known) return known;
    throw new Error(
      `${where} calls ${parent.getText()}: say in test/install/used-rights.ts which verbs that needs.`,
    );
  }
  if (ts.isCallExpression(parent) || ts.isNewExpression(parent)) {
    const callee = parent.expression;
    const name = ts.isPropertyAccessExpression(callee) ? callee.name.text : callee.getText();
    const known = helpers[name];
    if (known) return known;
  }
  throw new Error(
    `${where} hands ${use.getText()} to something unknown (${parent.getText().slice(0, 60)}): ` +
      'say in test/install/used-rights.ts which verbs that needs.',
  );
}
