/** Kubeconfigs as people have them, read by the plugin when the real kubectl calls it. */
import assert from 'node:assert/strict';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startTestApiServer, type TestApiServer } from '../cluster/apiserver/testing.js';
import { createCa, issueCertificate } from '../cluster/pki.js';
import { buildPlugins, kubectl, missing, type Plugins } from './programs.js';

const TOKEN = 'a-token-that-the-server-knows';

describe('a kubeconfig', { skip: await missing('kubectl') }, () => {
  let plugins: Plugins;
  let server: TestApiServer;
  let folder: string;
  let ca: string;

  const base64 = (text: string) => Buffer.from(text).toString('base64');
  const write = async (name: string, text: string, mode = 0o600): Promise<string> => {
    const file = join(folder, name);
    await writeFile(file, text, { mode });
    await chmod(file, mode);
    return file;
  };
  const config = (user: object, cluster: object = {}, more: object = {}) =>
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [
        { name: 'c', cluster: { server: server.url, 'certificate-authority-data': ca, ...cluster } },
      ],
      users: [{ name: 'u', user }],
      contexts: [{ name: 'x', context: { cluster: 'c', user: 'u', namespace: 'default' } }],
      'current-context': 'x',
      ...more,
    });
  const list = (kubeconfig: string, env: NodeJS.ProcessEnv = {}, ...flags: string[]) =>
    kubectl(['migrate', 'list', ...flags], { links: plugins.links, kubeconfig, env });
  const works = async (kubeconfig: string, env: NodeJS.ProcessEnv = {}, ...flags: string[]) => {
    const { code, stdout, stderr } = await list(kubeconfig, env, ...flags);
    assert.equal(stderr, 'No resources found in default namespace.\n');
    assert.equal(stdout, '');
    assert.equal(code, 0);
  };
  const fails = async (said: RegExp, kubeconfig: string, env: NodeJS.ProcessEnv = {}) => {
    const { code, stdout, stderr } = await list(kubeconfig, env);
    assert.match(stderr, said);
    assert.doesNotMatch(stderr, /\n\s+at /);
    assert.equal(stdout, '');
    assert.equal(code, 1);
  };

  before(async () => {
    plugins = await buildPlugins();
    server = await startTestApiServer({
      tokens: { [TOKEN]: { username: 'ann', groups: ['system:authenticated'] } },
    });
    folder = await mkdtemp(join(tmpdir(), 'lpm-kubeconfig-'));
    ca = base64(server.pki.ca.cert);
  });
  after(async () => {
    await rm(folder, { recursive: true, force: true });
    await server.close();
    await plugins.remove();
  });

  test('with a client certificate in files that are named relative to it', async () => {
    await write('client.crt', server.pki.admin.cert);
    await write('client.key', server.pki.admin.key);
    await write('ca.crt', server.pki.ca.cert);
    const user = { 'client-certificate': 'client.crt', 'client-key': 'client.key' };
    const cluster = { 'certificate-authority-data': undefined, 'certificate-authority': 'ca.crt' };
    await works(await write('files', config(user, cluster)));
  });

  test('with a token, and with a token in a file', async () => {
    await works(await write('token', config({ token: TOKEN })));
    const tokenFile = await write('token.txt', `${TOKEN}\n`);
    await works(await write('token-file', config({ tokenFile })));
  });

  test('with an exec plugin, as clouds have them', async () => {
    const credential = {
      apiVersion: 'client.authentication.k8s.io/v1',
      kind: 'ExecCredential',
      status: { token: TOKEN },
    };
    const command = await write(
      'cloud-login',
      `#!/bin/sh\n[ "$REGION" = north ] && echo '${JSON.stringify(credential)}'\n`,
      0o755,
    );
    const exec = {
      apiVersion: 'client.authentication.k8s.io/v1',
      interactiveMode: 'Never',
      command,
      args: ['token'],
      env: [{ name: 'REGION', value: 'north' }],
    };
    await works(await write('exec', config({ exec })));
  });

  test('with an exec plugin that is not there, or fails', async () => {
    const exec = {
      apiVersion: 'client.authentication.k8s.io/v1',
      interactiveMode: 'Never',
      command: 'no-such-login',
    };
    await fails(/no-such-login/, await write('exec-missing', config({ exec })));
    const command = await write(
      'failing-login',
      '#!/bin/sh\necho "please log in first" >&2\nexit 3\n',
      0o755,
    );
    await fails(
      /please log in first|failing-login/,
      await write('exec-failing', config({ exec: { ...exec, command } })),
    );
  });

  test('in several files: the context from one, cluster and user from others', async () => {
    const one = await write(
      'part-1',
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Config',
        contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
        'current-context': 'x',
      }),
    );
    const two = await write(
      'part-2',
      config(
        { token: 'another' },
        {},
        { users: [{ name: 'other', user: { token: 'no' } }], contexts: [], 'current-context': '' },
      ),
    );
    const three = await write(
      'part-3',
      JSON.stringify({ apiVersion: 'v1', kind: 'Config', users: [{ name: 'u', user: { token: TOKEN } }] }),
    );
    await works([one, join(folder, 'not-there'), two, three].join(delimiter));
  });

  test('without a check of the server’s certificate, when it says so or the flag does', async () => {
    const other = base64((await createCa('another')).cert);
    const insecure = { 'certificate-authority-data': undefined, 'insecure-skip-tls-verify': true };
    await works(await write('insecure', config({ token: TOKEN }, insecure)));
    const wrong = await write('wrong-ca', config({ token: TOKEN }, { 'certificate-authority-data': other }));
    await fails(
      /Cannot reach the cluster at https:\S+: its certificate is not signed by the configured CA\./,
      wrong,
    );
    await works(wrong, {}, '--insecure-skip-tls-verify');
  });

  test('with a proxy, from the cluster’s entry and from the surroundings', async () => {
    let tunnels = 0;
    const proxy: Server = createServer();
    proxy.on('connect', (request, socket, head) => {
      tunnels += 1;
      const [host = '', port = ''] = (request.url ?? '').split(':');
      const onward = connect(Number(port), host, () => {
        socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
        onward.write(head);
        onward.pipe(socket).pipe(onward);
      });
      for (const one of [socket, onward]) one.on('error', () => {});
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    try {
      const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
      await works(await write('proxy', config({ token: TOKEN }, { 'proxy-url': url })));
      assert.ok(tunnels > 0, 'it went through the proxy');
    } finally {
      proxy.closeAllConnections();
      proxy.close();
    }
  });

  test('with credentials that have expired, or that nobody knows', async () => {
    const expired = await issueCertificate(server.pki.ca, {
      commonName: 'ann',
      organization: ['system:masters'],
      usages: ['client'],
      days: -1,
    });
    const user = { 'client-certificate-data': base64(expired.cert), 'client-key-data': base64(expired.key) };
    await fails(
      /^error: The cluster does not accept your credentials\.\nCheck them with: kubectl auth whoami/,
      await write('expired', config(user)),
    );
    await fails(
      /^error: The cluster does not accept your credentials\./,
      await write('unknown', config({ token: 'nobody' })),
    );
  });

  test('of a server that cannot be reached', async () => {
    const free = await new Promise<number>((resolve) => {
      const probe = createServer().listen(0, '127.0.0.1', () => {
        const { port } = probe.address() as AddressInfo;
        probe.close(() => resolve(port));
      });
    });
    const there = { server: `https://127.0.0.1:${free}` };
    await fails(
      /Cannot reach the cluster at https:\/\/127\.0\.0\.1:\d+: the connection was refused\.\nCheck that it is the right cluster/,
      await write('refused', config({ token: TOKEN }, there)),
    );
    const nowhere = { server: 'https://no-such-host.invalid' };
    await fails(
      /Cannot reach the cluster at https:\/\/no-such-host\.invalid: its name cannot be resolved/,
      await write('nowhere', config({ token: TOKEN }, nowhere)),
    );
  });

  test('that is no kubeconfig', async () => {
    await fails(
      /The kubeconfig file \S+broken cannot be read: .*\.\nCheck it with: kubectl config view/,
      await write('broken', '{ clusters: ['),
    );
  });
});
