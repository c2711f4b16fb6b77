import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { API_VERSION } from '../../common/api/names.js';
import { KINDS } from '../../common/api/kinds.js';
import { buildPlugins, kubectl, missing, type Plugins } from './programs.js';

/** Answers of a cluster in which this person may read pods and nothing else. The local API server has no RBAC. */
function answer(method: string, path: string): { code: number; body: object } {
  if (path === `/apis/${API_VERSION}`) {
    const resources = Object.values(KINDS).map(({ plural }) => ({ name: plural }));
    return { code: 200, body: { kind: 'APIResourceList', resources } };
  }
  if (path === '/api/v1/namespaces/default/pods/counter') {
    const body = { kind: 'Pod', metadata: { name: 'counter' }, spec: {}, status: { phase: 'Running' } };
    return { code: 200, body };
  }
  const [, , , , , , plural = 'nodes'] = path.split('/');
  const verb = method === 'POST' ? 'create' : 'get';
  const message = `${plural} is forbidden: User "bob" cannot ${verb} resource "${plural}" in the namespace "default"`;
  return { code: 403, body: { kind: 'Status', code: 403, reason: 'Forbidden', message } };
}

describe('without the rights', { skip: await missing('kubectl') }, () => {
  let plugins: Plugins;
  let server: Server;
  const asked: string[] = [];
  before(async () => {
    plugins = await buildPlugins();
    server = createServer((request, response) => {
      const { pathname } = new URL(request.url ?? '', 'http://host');
      asked.push(`${request.method} ${pathname} as ${request.headers['impersonate-user'] ?? 'nobody else'}`);
      const { code, body } = answer(request.method ?? '', pathname);
      response.writeHead(code, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  after(async () => {
    server.closeAllConnections();
    server.close();
    await plugins.remove();
  });

  test('what may not be seen is left to the controller, and what may not be created is said clearly', async () => {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const args = [
      'migrate',
      'counter',
      '--to',
      'k8s-master',
      '--server',
      url,
      '--as',
      'bob',
      '--as-group',
      'a',
    ];
    const { code, stdout, stderr } = await kubectl(args, { links: plugins.links });
    assert.equal(code, 1);
    assert.equal(stdout, '');
    assert.match(
      stderr,
      /^note: you may not read nodes, so whether k8s-master exists .* left to the controller\n/,
    );
    assert.match(
      stderr,
      /\nerror: Not allowed: podmigrations is forbidden: User "bob" cannot create resource "podmigrations" in the namespace "default"\nAsk a cluster administrator.*kubectl auth can-i --list/,
    );
    assert.ok(
      asked.every((line) => line.endsWith(' as bob')),
      asked.join('\n'),
    );
  });
});
