/** The controller as a program: what it says and how it ends when it cannot work, and its health endpoints. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startTestApiServer, kubeconfigText } from '../cluster/apiserver/testing.js';
import { createCa, issueCertificate } from '../cluster/pki.js';
import { eventually } from './rig.js';

const main = fileURLToPath(new URL('../../controller/main.ts', import.meta.url));
let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lpm-controller-'));
  const ca = await createCa('lpm-test');
  const pair = await issueCertificate(ca, { commonName: 'lpm-controller', usages: ['client'] });
  await writeFile(join(folder, 'ca.crt'), ca.cert);
  await writeFile(join(folder, 'tls.crt'), pair.cert);
  await writeFile(join(folder, 'tls.key'), pair.key);
});
after(() => rm(folder, { recursive: true, force: true }));

function start(...args: string[]): {
  child: ChildProcess;
  stderr: () => string;
  ended: Promise<number | null>;
} {
  const { KUBERNETES_SERVICE_HOST: _, ...env } = process.env;
  const child = spawn(process.execPath, ['--import', 'tsx', main, ...args], {
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let text = '';
  child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  return { child, stderr: () => text, ended };
}

async function expectFailure(message: RegExp, ...args: string[]): Promise<void> {
  const { stderr, ended } = start(...args);
  assert.equal(await ended, 1);
  assert.match(stderr(), message);
  assert.equal(stderr().trim().split('\n').length, 1, stderr());
  assert.doesNotMatch(stderr(), /\n\s+at /);
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

test('what keeps it from working is one sentence with the next step, without a stack', async () => {
  const bare = await startTestApiServer({ crds: false });
  const dead = join(folder, 'dead');
  await writeFile(
    dead,
    kubeconfigText(`https://127.0.0.1:${await freePort()}`, bare.pki.ca.cert, bare.pki.admin),
  );
  try {
    await Promise.all([
      expectFailure(/does not run in a cluster.*--kubeconfig FILE/),
      expectFailure(
        /certificates for the agents cannot be read from \/nowhere.*--tls-dir/,
        `--kubeconfig=${bare.kubeconfig}`,
        '--tls-dir=/nowhere',
      ),
    ]);
    await Promise.all([
      expectFailure(
        /does not know the kinds of lpm\.my\.domain\/v1\. Install them: kubectl apply -f manifests\/crd\//,
        `--kubeconfig=${bare.kubeconfig}`,
        `--tls-dir=${folder}`,
      ),
      expectFailure(
        /Cannot reach the cluster at https:\/\/127\.0\.0\.1:\d+: the connection was refused\./,
        `--kubeconfig=${dead}`,
        '--api-wait-seconds=0',
        `--tls-dir=${folder}`,
      ),
    ]);
  } finally {
    await bare.close();
  }
});

test('it tells its health, and SIGTERM ends it', async () => {
  const api = await startTestApiServer();
  const port = await freePort();
  const { child, stderr, ended } = start(
    `--kubeconfig=${api.kubeconfig}`,
    `--tls-dir=${folder}`,
    `--health-listen=127.0.0.1:${port}`,
    '--no-leader-election',
  );
  try {
    const get = (path: string) => fetch(`http://127.0.0.1:${port}${path}`).catch(() => undefined);
    await eventually('it is ready', async () => ((await get('/readyz'))?.status === 200 ? true : undefined));
    assert.equal((await get('/healthz'))?.status, 200);
    assert.match((await (await get('/metrics'))?.text()) ?? '', /^lpm_migrations_active 0$/m);
    assert.equal((await get('/else'))?.status, 404);
    child.kill('SIGTERM');
    assert.equal(await ended, 0);
    for (const line of stderr().trim().split('\n')) JSON.parse(line);
  } finally {
    child.kill('SIGKILL');
    await api.close();
  }
});
