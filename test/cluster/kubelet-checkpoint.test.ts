/** The checkpoint API of the kubelet stand-in behaves as the kubelet's, on the real containerd. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { countProblem, countsIn } from '../support/counts.js';
import { until } from '../support/until.js';
import { clusterDown, clusterUp, type Cluster } from './cluster.js';
import { checkpointSwitch } from './kubelet/checkpoint.js';
import type { NodeHandle } from './node/handle.js';

const skip = process.getuid?.() !== 0 && 'needs root: nodes of namespaces, mounts and cgroups';

test('the kubelet’s checkpoint API', { skip }, async (t) => {
  const dir = join(mkdtempSync(join(tmpdir(), 'lpm-kubelet-checkpoint-')), 'cluster');
  let cluster: Cluster;
  let worker: NodeHandle;
  before(async () => {
    cluster = await clusterUp({ dir, processes: true });
    worker = cluster.node('k8s-worker');
    const { code, stderr } = await cluster.kubectl(['apply', '-f', '-'], { stdin: JSON.stringify(counter) });
    assert.equal(code, 0, stderr);
    await until('it counts', async () => (await counts()).length > 3);
  });
  after(async () => {
    await clusterDown({ dir });
    rmSync(join(dir, '..'), { recursive: true, force: true });
  });
  const counts = async (): Promise<number[]> => countsIn((await cluster.kubectl(['logs', 'counter'])).stdout);

  interface Credential {
    certificate?: boolean;
    token?: string;
  }
  const certificate: Credential = { certificate: true };
  /** From inside the node, as an agent asks; verified against the file that a kubelet has its own certificate in. */
  const ask = async (
    path: string,
    { as = certificate, method = 'POST' }: { as?: Credential; method?: string } = {},
  ): Promise<{ status: number; body: string }> => {
    const { code, stdout, stderr } = await worker.exec(['/usr/local/bin/node', '-e', asking], {
      stdin: JSON.stringify({ path, method, ...as }),
    });
    assert.equal(code, 0, stderr);
    const { status, body } = JSON.parse(stdout) as { status: number; body: string };
    return { status, body: body.trim() };
  };
  const turn = async (words: string | undefined): Promise<void> => {
    const script = words === undefined ? `rm -f ${checkpointSwitch}` : `echo '${words}' >${checkpointSwitch}`;
    assert.equal((await worker.exec(['sh', '-c', script])).code, 0);
  };
  const path = '/checkpoint/default/counter/counter';

  await t.test('writes an archive that the answer names, and the container runs on', async () => {
    const { status, body } = await ask(path);
    assert.equal(status, 200, body);
    const [file = ''] = (JSON.parse(body) as { items: string[] }).items;
    assert.match(
      file,
      /^\/var\/lib\/kubelet\/checkpoints\/checkpoint-counter_default-counter-\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\.tar$/,
    );
    const listed = await worker.exec(['tar', '--force-local', '-tf', file]);
    assert.equal(listed.code, 0, listed.stderr);
    for (const name of ['checkpoint/', 'config.dump', 'spec.dump'])
      assert.ok(listed.stdout.split('\n').includes(name), `${name} in ${listed.stdout}`);
    const before_ = (await counts()).length;
    await until('it counts on', async () => (await counts()).length > before_ + 3);
    assert.equal(countProblem(await counts()), undefined);
  });

  await t.test('takes a ServiceAccount’s token, and nobody without any credential', async () => {
    const { stdout: token } = await cluster.kubectl(['create', 'token', 'default']);
    assert.equal((await ask(path, { as: { token: token.trim() } })).status, 200);
    const refused = { status: 401, body: 'Unauthorized' };
    assert.deepEqual(await ask(path, { as: {} }), refused);
    assert.deepEqual(await ask(path, { as: { token: 'nonsense' } }), refused);
  });

  await t.test('says what is wrong in the kubelet’s words', async () => {
    const answers: [string, { status: number; body: string }][] = [
      ['/checkpoint/default/nobody/counter', { status: 404, body: 'pod does not exist' }],
      ['/checkpoint/default/counter/other', { status: 404, body: 'container other does not exist' }],
      [`${path}?timeout=soon`, { status: 404, body: 'cannot parse value of timeout parameter' }],
    ];
    for (const [asked, answer] of answers) assert.deepEqual(await ask(asked), answer);
    assert.equal((await ask(path, { method: 'GET' })).status, 405);
    await turn('off');
    assert.deepEqual(await ask(path), { status: 404, body: '404 page not found' });
    await turn('forbidden');
    assert.equal((await ask(path)).status, 403);
    await turn('fail rpc error: code = Unknown desc = checkpoint/restore support not available');
    assert.deepEqual(await ask(path), {
      status: 500,
      body: 'checkpointing of default/counter/counter failed (rpc error: code = Unknown desc = checkpoint/restore support not available)',
    });
    await turn(undefined);
  });
});

/** Runs in the node. */
const asking = `
  const { readFileSync } = require('node:fs');
  const { path, method, certificate, token } = JSON.parse(readFileSync(0, 'utf8'));
  const client = '/etc/kubernetes/pki/apiserver-kubelet-client';
  require('node:https').request({
    host: '127.0.0.1', port: 10250, path, method,
    ca: readFileSync('/var/lib/kubelet/pki/kubelet.crt'), allowPartialTrustChain: true,
    ...(certificate && { cert: readFileSync(client + '.crt'), key: readFileSync(client + '.key') }),
    headers: token ? { authorization: 'Bearer ' + token } : {},
  }, (response) => {
    let body = '';
    response.on('data', (chunk) => (body += chunk));
    response.on('end', () => console.log(JSON.stringify({ status: response.statusCode, body })));
  }).end();`;

const counter = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'counter', namespace: 'default' },
  spec: {
    nodeName: 'k8s-worker',
    terminationGracePeriodSeconds: 1,
    containers: [
      {
        name: 'counter',
        image: 'busybox:1.35',
        command: [
          'sh',
          '-c',
          'COUNT=0; while true; do COUNT=$((COUNT + 1)); echo "Count=$COUNT"; sleep 0.1; done',
        ],
      },
    ],
  },
};
