/** kubectl's flags for whom and where to ask, given to the plugin by the real kubectl. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import type { AuditEntry } from '../cluster/apiserver/http/handler.js';
import { startTestApiServer, type TestApiServer } from '../cluster/apiserver/testing.js';
import { buildPlugins, kubectl, missing, type Plugins } from './programs.js';

const TOKEN = 'a-token-of-ann';

describe('the connection flags', { skip: await missing('kubectl') }, () => {
  let plugins: Plugins;
  let server: TestApiServer;
  let kubeconfig: string;
  const audit: AuditEntry[] = [];

  before(async () => {
    [plugins, server] = await Promise.all([
      buildPlugins(),
      startTestApiServer({
        tokens: { [TOKEN]: { username: 'ann', groups: ['staff'] } },
        // The controllers of this process are no commands.
        audit: (entry) => void (entry.user.username.startsWith('system:') || audit.push(entry)),
      }),
    ]);
    const base64 = (text: string) => Buffer.from(text).toString('base64');
    const { ca, admin } = server.pki;
    kubeconfig = join(plugins.links, 'kubeconfig');
    await writeFile(
      kubeconfig,
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Config',
        clusters: [
          { name: 'here', cluster: { server: server.url, 'certificate-authority-data': base64(ca.cert) } },
          { name: 'nowhere', cluster: { server: 'https://127.0.0.1:1' } },
        ],
        users: [
          {
            name: 'admin',
            user: { 'client-certificate-data': base64(admin.cert), 'client-key-data': base64(admin.key) },
          },
          { name: 'ann', user: { token: TOKEN } },
          {
            name: 'as-bob',
            user: {
              'client-certificate-data': base64(admin.cert),
              'client-key-data': base64(admin.key),
              as: 'bob',
              'as-uid': '7',
              'as-groups': ['devs', 'night-shift'],
            },
          },
        ],
        contexts: [
          { name: 'good', context: { cluster: 'here', user: 'admin', namespace: 'default' } },
          { name: 'bad', context: { cluster: 'nowhere', user: 'ann', namespace: 'default' } },
        ],
        'current-context': 'good',
      }),
    );
  });
  after(async () => {
    await server.close();
    await plugins.remove();
  });
  beforeEach(() => void audit.splice(0));

  const list = (...flags: string[]) =>
    kubectl(['migrate', 'list', ...flags], { links: plugins.links, kubeconfig });
  /** It worked, and every request of it was made for this user. */
  const assertMadeFor = async (user: Partial<AuditEntry['user']>, ...flags: string[]) => {
    const { code, stderr } = await list(...flags);
    assert.equal(stderr, 'No resources found in default namespace.\n');
    assert.equal(code, 0);
    const asked = audit.filter(({ path }) => path.includes('lpm.my.domain'));
    assert.ok(asked.length >= 2, 'the API and the list were asked for');
    for (const entry of asked) {
      for (const key of Object.keys(user) as (keyof typeof user)[])
        assert.deepEqual(entry.user[key], user[key]);
    }
  };
  const assertFails = async (said: RegExp, ...flags: string[]) => {
    const { code, stdout, stderr } = await list(...flags);
    assert.match(stderr, said);
    assert.equal(stdout, '');
    assert.equal(code, 1);
  };

  test('--context, --cluster and --user choose entries of the kubeconfig, each for itself', async () => {
    await assertFails(/Cannot reach the cluster at https:\/\/127\.0\.0\.1:1:/, '--context', 'bad');
    await assertMadeFor({ username: 'ann' }, '--context=bad', '--cluster=here');
    audit.splice(0);
    await assertMadeFor({ username: 'ann' }, '--user', 'ann');
    await assertFails(/Cannot reach the cluster at https:\/\/127\.0\.0\.1:1:/, '--cluster', 'nowhere');
  });

  test('what none of the entries is called is named', async () => {
    await assertFails(
      /^error: The cluster "her" does not exist in the kubeconfig\.\nIt has: here, nowhere\.\n/,
      '--cluster',
      'her',
    );
    await assertFails(
      /^error: The user "amm" does not exist in the kubeconfig\.\nIt has: admin, ann, as-bob\.\n/,
      '--user',
      'amm',
    );
    await assertFails(
      /^error: The context "god" does not exist\.\nContexts in the kubeconfig: good, bad\./,
      '--context=god',
    );
  });

  test('--as and --as-group make every request for somebody else, where that is allowed', async () => {
    await assertMadeFor(
      { username: 'bob', groups: ['devs', 'night-shift', 'system:authenticated'] },
      ...['--as', 'bob', '--as-group', 'devs', '--as-group=night-shift'],
    );
  });

  test('an impersonation that is not allowed says what is missing, and one without a user what is wrong', async () => {
    await assertFails(
      /^error: Not allowed: users "bob" is forbidden: User "ann" cannot impersonate resource "users".*\nAsk a cluster administrator/,
      ...['--user=ann', '--as=bob'],
    );
    await assertFails(/without impersonating a user/, '--as-group=devs');
  });

  test('whom a user of the kubeconfig impersonates is obeyed, and the flags go before', async () => {
    await assertMadeFor(
      { username: 'bob', uid: '7', groups: ['devs', 'night-shift', 'system:authenticated'] },
      '--user=as-bob',
    );
    audit.splice(0);
    await assertMadeFor(
      { username: 'eve', groups: ['guests', 'system:authenticated'] },
      ...['--user=as-bob', '--as=eve', '--as-group=guests'],
    );
  });

  test('hints repeat for whom to ask', async () => {
    const { stderr } = await kubectl(['migrate', 'status', 'nobody', '--as=bob', '--as-group=devs'], {
      links: plugins.links,
      kubeconfig,
    });
    assert.match(stderr, /List them with: kubectl migrate list --as bob --as-group devs \(or -A/);
  });

  test('--request-timeout ends in a sentence, when nothing answers and when the connection is never made', async () => {
    const silent = createServer((socket) => void socket.on('error', () => {}));
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as AddressInfo;
    try {
      for (const protocol of ['http', 'https']) {
        const began = performance.now();
        const { code, stderr } = await list(
          '--server',
          `${protocol}://127.0.0.1:${port}`,
          '--request-timeout=300ms',
        );
        assert.match(
          stderr,
          /^error: https?:\/\/127\.0\.0\.1:\d+ did not answer within 0\.3 s\.\nCheck that it is the right cluster/,
        );
        assert.equal(code, 1);
        assert.ok(performance.now() - began < 20_000);
      }
    } finally {
      silent.close();
    }
  });

  test('--request-timeout takes what kubectl takes: units, plain seconds, and 0 for none of its own', async () => {
    for (const value of ['5s', '5', '0', '1m30s']) {
      const { code, stderr } = await list(`--request-timeout=${value}`);
      assert.equal(code, 0, stderr);
    }
    const { code, stderr } = await list('--request-timeout=soon');
    assert.match(
      stderr,
      /^error: --request-timeout takes a duration such as 90s, 10m or 1h30m, not "soon"\./,
    );
    assert.equal(code, 2);
  });
});
