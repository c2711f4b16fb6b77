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
  secrets: { group: '', plural: 'secrets' },
  tokenReviews: { group: 'authentication.k8s.io', plural: 'tokenreviews' },
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
  // controller/checkpoint/api-verbs.ts
  createOrFind: ['create', 'get'],
  remove: ['delete'],
  // controller/checkpoint/make-contents.ts
  own: ['create', 'get'],
  // controller/checkpoint/update-status.ts
  updateStatus: ['get', 'status update'],
  // controller/status/recorder.ts
  StatusRecorder: ['get', 'status update'],
  // controller/events.ts
  EventRecorder: ['create', 'patch'],
};

/** Functions that answer one of several resources, as their callers wish; their calls are looked at in place of them. */
const choosers: Record<string, string[]> = {
  // controller/checkpoint/kinds.ts
  clientOf: ['podCheckpoints', 'containerCheckpoints'],
};

/** "group/resource[/status] verb" → where it is used first. */
export function usedRights(folder = 'controller'): Map<string, string> {
  const found = new Map<string, string>();
  for (const file of readdirSync(join(repository, folder), { recursive: true }) as string[]) {
    if (!file.endsWith('.ts') || file.endsWith('.test.ts')) continue;
    const path = join(folder, file);
    const text = readFileSync(join(repository, path), 'utf8');
    const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
    const visit = (node: ts.Node): void => {
      const names = resourcesOf(node);
      if (names.length > 0) {
        const where = `${path}:${source.getLineAndCharacterOfPosition(node.getStart()).line + 1}`;
        for (const verb of verbs(node as ts.Expression, where)) {
          const [sub, word] = verb.includes(' ') ? verb.split(' ') : ['', verb];
          for (const name of names) {
            const { group, plural } = resources[name]!;
            const right = `${group}/${plural}${sub ? `/${sub}` : ''} ${word ?? ''}`;
            if (!found.has(right)) found.set(right, where);
          }
        }
      }
      ts.forEachChild(node, visit);
    };
    visit(source);
  }
  return found;
}

/** The resources that an expression stands for: `client.pods`, or a chooser's call. */
function resourcesOf(node: ts.Node): string[] {
  if (ts.isPropertyAccessExpression(node) && isClient(node.expression) && resources[node.name.text]) {
    return [node.name.text];
  }
  return ts.isCallExpression(node) ? (choosers[node.expression.getText()] ?? []) : [];
}

/** `client`, `this.client`, `parts.client`, `options.client`, `kube` … */
const isClient = (node: ts.Expression): boolean =>
  ['client', 'kube'].includes(
    ts.isPropertyAccessExpression(node) ? node.name.text : ts.isIdentifier(node) ? node.text : '',
  );

/** What is done with the resource that the expression stands for. */
function verbs(use: ts.Expression, where: string): string[] {
  const { parent } = use;
  if (
    ts.isParenthesizedExpression(parent) ||
    ts.isAsExpression(parent) ||
    ts.isConditionalExpression(parent)
  ) {
    return verbs(parent, where);
  }
  if (ts.isVariableDeclaration(parent) && ts.isIdentifier(parent.name)) {
    return usesOf(parent.name, blockOf(parent)).flatMap((one) => verbs(one, where));
  }
  if (ts.isReturnStatement(parent) && choosers[nameOfFunction(parent)]) return [];
  if (ts.isPropertyAccessExpression(parent)) {
    const known = methods[parent.name.text];
    if (known) return known;
  }
  if (ts.isCallExpression(parent) || ts.isNewExpression(parent)) {
    const callee = parent.expression;
    const known = helpers[ts.isPropertyAccessExpression(callee) ? callee.name.text : callee.getText()];
    if (known) return known;
  }
  throw new Error(
    `${where} hands ${use.getText()} to something unknown (${parent.getText().slice(0, 60)}): ` +
      'say in test/install/used-rights.ts which verbs that needs.',
  );
}

function blockOf(node: ts.Node): ts.Node {
  let block = node;
  while (!ts.isBlock(block) && !ts.isSourceFile(block)) block = block.parent;
  return block;
}

function usesOf(variable: ts.Identifier, scope: ts.Node): ts.Identifier[] {
  const found: ts.Identifier[] = [];
  const visit = (node: ts.Node): void => {
    const isName =
      (ts.isPropertyAccessExpression(node.parent) && node.parent.name === node) ||
      // A type: `typeof parts.client.pods`.
      ts.isQualifiedName(node.parent) ||
      node === variable;
    if (ts.isIdentifier(node) && node.text === variable.text && !isName) found.push(node);
    ts.forEachChild(node, visit);
  };
  ts.forEachChild(scope, visit);
  return found;
}

function nameOfFunction(node: ts.Node): string {
  let outer = node;
  while (!ts.isFunctionDeclaration(outer) && !ts.isSourceFile(outer)) outer = outer.parent;
  return ts.isFunctionDeclaration(outer) ? (outer.name?.text ?? '') : '';
}
