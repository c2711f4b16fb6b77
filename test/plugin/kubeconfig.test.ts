/** Kubeconfigs as people have them, read by the plugin when the real kubectl calls it. */
import assert from 'node:assert/strict';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startTestApiServer, type TestApiServer } from '../cluster/apiserver/testing.js';
import { createCa, issueCertificate } from '../cluster/pki.js';
import { openTerminal } from '../support/terminal.js';
import { buildPlugins, kubectl, missing, until, type Plugins } from './programs.js';

const TOKEN = 'a-token-that-the-server-knows';

const noTerminal = await missing('tmux');

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

  const exec = (command: string, more: object = {}) => ({
    exec: {
      apiVersion: 'client.authentication.k8s.io/v1',
      interactiveMode: 'Never',
      command,
      ...more,
    },
  });
  const credential = (status: object) =>
    JSON.stringify({
      apiVersion: 'client.authentication.k8s.io/v1',
      kind: 'ExecCredential',
      status,
    });

  test('with an exec plugin, as clouds have them: called once, told what for, beside the kubeconfig', async () => {
    const log = join(folder, 'calls');
    await write(
      'cloud-login',
      [
        '#!/bin/sh',
        `echo "$* $REGION $KUBERNETES_EXEC_INFO" >> '${log}'`,
        `[ "$REGION" = north ] && echo '${credential({ token: TOKEN })}'`,
      ].join('\n'),
      0o755,
    );
    const more = {
      args: ['token'],
      env: [{ name: 'REGION', value: 'north' }],
      provideClusterInfo: true,
    };
    await works(await write('exec', config(exec('./cloud-login', more))));
    const [call = '', ...others] = (await readFile(log, 'utf8')).trim().split('\n');
    assert.deepEqual(others, [], 'a credential without an end is asked for once');
    const [, said = '', info = ''] = /^(token north) (\{.*\})$/.exec(call) ?? [];
    assert.equal(said, 'token north');
    assert.deepEqual(JSON.parse(info), {
      kind: 'ExecCredential',
      apiVersion: 'client.authentication.k8s.io/v1',
      spec: { cluster: { server: server.url, 'certificate-authority-data': ca }, interactive: false },
    });
  });

  test('with an exec plugin that gives a client certificate', async () => {
    const { cert, key } = server.pki.admin;
    const answer = await write(
      'certificate.json',
      credential({ clientCertificateData: cert, clientKeyData: key }),
    );
    const command = await write('certificate-login', `#!/bin/sh\ncat '${answer}'\n`, 0o755);
    await works(await write('exec-certificate', config(exec(command))));
  });

  test('with an exec plugin that is not there: its install hint is shown', async () => {
    await fails(
      /^error: The program "no-such-login", which logs in to the cluster, is not installed\.\nInstall it, or look at .*: kubectl config view --minify\n$/,
      await write('exec-missing', config(exec('no-such-login'))),
    );
    const installHint = 'It comes with the cloud tools:\n  cloud install login\n';
    await fails(
      /is not installed\.\nIt comes with the cloud tools: cloud install login\n$/,
      await write('exec-hint', config(exec('no-such-login', { installHint }))),
    );
  });

  test('with an exec plugin that fails: its own words are shown, and its exit code', async () => {
    const command = await write('failing', '#!/bin/sh\necho "please log in first" >&2\nexit 3\n', 0o755);
    await fails(
      /^please log in first\nerror: The program "\S+failing", which logs in to the cluster, failed with exit code 3\.\n.*kubectl auth whoami\n$/,
      await write('exec-failing', config(exec(command))),
    );
  });

  test('with an exec plugin that gives no credential, without showing what it gave', async () => {
    for (const [name, answer, why] of [
      ['empty', '', /gave no credential: it wrote nothing\./],
      ['prose', 'my-secret-token', /gave no credential: its answer is not JSON \([^"]*\)\./],
      ['other', '{"kind":"Pod"}', /gave no credential: its answer is no ExecCredential\./],
      ['bare', credential({}), /gave no credential: its answer has neither a token nor/],
      ['unknown', credential({ token: 'my-secret-token' }), /does not accept your credentials\./],
    ] as const) {
      const command = await write(`${name}-login`, `#!/bin/sh\necho '${answer}'\n`, 0o755);
      const kubeconfig = await write(`exec-${name}`, config(exec(command)));
      await fails(why, kubeconfig);
      assert.doesNotMatch((await list(kubeconfig, {}, '-v=8')).stderr, /my-secret-token/);
    }
  });

  test('with an exec plugin that must ask, where nobody can answer', async () => {
    const command = await write('asking', '#!/bin/sh\nexit 1\n', 0o755);
    await fails(
      /^error: The program "\S+asking".* asks questions \(interactiveMode: Always\), and there is no terminal on which to answer\.\nCall this in a terminal/,
      await write('exec-always', config(exec(command, { interactiveMode: 'Always' }))),
    );
  });

  test('with an exec plugin that asks in a terminal', { skip: noTerminal }, async (t) => {
    const command = await write(
      'code-login',
      [
        '#!/bin/sh',
        'printf "The code from your phone: " >&2; read code',
        `[ "$code" = 1234 ] && echo '${credential({ token: TOKEN })}'`,
      ].join('\n'),
      0o755,
    );
    const kubeconfig = await write('exec-asks', config(exec(command, { interactiveMode: 'IfAvailable' })));
    const path = `${plugins.links}${delimiter}${process.env.PATH ?? ''}`;
    const terminal = await openTerminal(
      `export HOME=/nonexistent KUBECONFIG='${kubeconfig}' PATH='${path}'; kubectl migrate list; echo "exit code $?"; sleep 60`,
    );
    t.after(() => terminal.close());
    await until(async () => /from your phone:$/.test(await terminal.screen()), terminal.last);
    await terminal.type('1234');
    await terminal.press('Enter');
    await until(async () => (await terminal.screen()).includes('exit code'), terminal.last);
    assert.equal(
      terminal.last(),
      'The code from your phone: 1234\nNo resources found in default namespace.\nexit code 0',
    );
  });

  test('a token on the command line goes before an exec plugin, which is not asked', async () => {
    await works(await write('exec-and-token', config(exec('no-such-login'))), {}, '--token', TOKEN);
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
    const tunnels: string[] = [];
    const proxy: Server = createServer();
    proxy.on('connect', (request, socket, head) => {
      tunnels.push(request.url ?? '');
      const [, port = ''] = (request.url ?? '').split(':');
      // Whatever name it is: a proxy knows more names than those who ask it.
      const onward = connect(Number(port), '127.0.0.1', () => {
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
      assert.ok(tunnels.length > 0, 'it went through the proxy');

      // A name of the server's certificate that nobody here can resolve.
      const far = server.url.replace('127.0.0.1', 'kubernetes.default.svc');
      const named = await write('far', config({ token: TOKEN }, { server: far }));
      tunnels.length = 0;
      await works(named, { HTTPS_PROXY: url });
      assert.deepEqual([...new Set(tunnels)], [far.replace('https://', '')]);
      await fails(/its name cannot be resolved/, named, { HTTPS_PROXY: url, NO_PROXY: '.svc' });

      await works(await write('near', config({ token: TOKEN })), { HTTPS_PROXY: 'http://127.0.0.1:1' });
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
