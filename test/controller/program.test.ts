/** The controller as a program: what it says and how it ends when it cannot work, and its health endpoints. */
import assert from 'node:assert/strict';
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { startTestApiServer, kubeconfigText } from '../cluster/apiserver/testing.js';
import { createCa, issueCertificate } from '../cluster/pki.js';
import { ControllerProcess, freePort } from './program.js';

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

async function expectFailure(message: RegExp, ...args: string[]): Promise<void> {
  const program = new ControllerProcess(args);
  assert.equal(await program.ended, 1);
  const lines = program.stderr.trim().split('\n');
  // What was logged before is JSON.
  const last = lines.filter((line) => !line.startsWith('{'));
  assert.match(last.join('\n'), message);
  assert.equal(last.length, 1, program.stderr);
}

test('what keeps it from working is one sentence with the next step, without a stack', async () => {
  const bare = await startTestApiServer({ crds: false });
  const dead = join(folder, 'dead');
  await writeFile(
    dead,
    kubeconfigText(`https://127.0.0.1:${await freePort()}`, bare.pki.ca.cert, bare.pki.admin),
  );
  try {
    await Promise.all([expectFailure(/does not run in a cluster.*--kubeconfig FILE/)]);
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

test('without certificates, and without a place for its own, it says what is missing', async () => {
  const api = await startTestApiServer();
  const half = join(folder, 'half');
  await mkdir(half);
  await copyFile(join(folder, 'tls.crt'), join(half, 'tls.crt'));
  try {
    await Promise.all([
      expectFailure(
        /^There is no Secret live-pod-migration-controller-system\/lpm-ca\. .*kubectl apply -k manifests.*--tls-dir\.$/,
        `--kubeconfig=${api.kubeconfig}`,
        '--tls-dir=/nowhere',
      ),
      expectFailure(
        /^The certificates in \S+\/half cannot be used: tls\.key and ca\.crt are missing\. .*--tls-dir/,
        `--kubeconfig=${api.kubeconfig}`,
        `--tls-dir=${half}`,
      ),
      expectFailure(
        /^The authority in \/nowhere cannot be used: .*tls\.crt.*--ca-dir/,
        `--kubeconfig=${api.kubeconfig}`,
        '--tls-dir=/nowhere',
        '--ca-dir=/nowhere',
      ),
    ]);
  } finally {
    await api.close();
  }
});

test('it tells its health, and SIGTERM ends it', async () => {
  const api = await startTestApiServer();
  const port = await freePort();
  const program = new ControllerProcess(
    [`--kubeconfig=${api.kubeconfig}`, `--tls-dir=${folder}`, '--no-leader-elect'],
    port,
  );
  try {
    await program.ready();
    assert.equal((await program.health('/healthz'))?.code, 200);
    const metrics = (await program.health('/metrics'))?.text ?? '';
    assert.match(metrics, /^lpm_migrations_active 0$/m);
    assert.match(metrics, /^lpm_leader 1$/m);
    assert.equal((await program.health('/else'))?.code, 404);
    program.child.kill('SIGTERM');
    assert.equal(await program.ended, 0);
    for (const line of program.stderr.trim().split('\n')) JSON.parse(line);
  } finally {
    program.kill();
    await api.close();
  }
});

test('without the namespace of the lease it says what is missing, and ends', async () => {
  const api = await startTestApiServer();
  try {
    await expectFailure(
      /^The lease live-pod-migration-controller-system\/lpm-controller cannot be used: .*not found.*--no-leader-elect/,
      `--kubeconfig=${api.kubeconfig}`,
      `--tls-dir=${folder}`,
      `--health-listen=`,
    );
  } finally {
    await api.close();
  }
});
