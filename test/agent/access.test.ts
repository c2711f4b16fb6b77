import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { status, type ServiceError } from '@grpc/grpc-js';
import { AGENT_ORGANIZATION, CONTROLLER_ORGANIZATION } from '../../common/api/names.js';
import { createCa, issueCertificate, type KeyPair } from '../cluster/pki.js';
import { AgentError, serving, startPair, type AgentClient, type Pair } from './pair.js';

const skip = process.getuid?.() !== 0 && 'needs root: nodes with containerd, runc and CRIU';

test('who may ask an agent for what', { skip }, async (t) => {
  let pair: Pair;
  before(async () => {
    pair = await startPair();
  });
  after(async () => pair?.stop());

  const certificate = (ca: KeyPair, organization: string[]): Promise<KeyPair> =>
    issueCertificate(ca, { commonName: 'somebody', organization, usages: ['client'] });
  const outcome = (work: Promise<unknown>): Promise<string> =>
    work.then(
      () => 'ok',
      (error: unknown) =>
        error instanceof AgentError ? error.reason : (status[(error as ServiceError).code] ?? String(error)),
    );
  const pull = async (client: AgentClient): Promise<string> => {
    const stream = client.raw.pullArtifacts({ checkpointUid: randomUUID() });
    return outcome(
      (async () => {
        for await (const _ of stream) break;
      })(),
    );
  };
  const discard = (client: AgentClient): Promise<string> =>
    outcome(client.call('discard', { checkpointUid: randomUUID(), podUid: '' }));

  await t.test('the controller may call everything', async () => {
    const client = pair.connect(pair.a, await certificate(pair.ca, [CONTROLLER_ORGANIZATION]));
    assert.equal(await discard(client), 'ok');
    assert.equal(await pull(client), 'NOT_FOUND');
  });

  await t.test('an agent may pull artifacts and nothing else', async () => {
    const client = pair.connect(pair.a, await certificate(pair.ca, [AGENT_ORGANIZATION]));
    assert.equal(await discard(client), 'NotAuthorized');
    assert.equal(await pull(client), 'NOT_FOUND');
  });

  await t.test('a certificate without a role may call nothing', async () => {
    const client = pair.connect(pair.a, await certificate(pair.ca, ['system:masters']));
    assert.equal(await discard(client), 'NotAuthorized');
    assert.equal(await pull(client), 'PERMISSION_DENIED');
  });

  await t.test("another authority's certificate does not get as far as a call", async () => {
    const stranger = await certificate(await createCa('stranger'), [CONTROLLER_ORGANIZATION]);
    assert.equal(await discard(pair.connect(pair.a, stranger)), 'UNAVAILABLE');
  });

  await t.test('TLS 1.2 is refused', async () => {
    const script =
      "const s = require('node:tls').connect({ port: 50051, host: '127.0.0.1', maxVersion: 'TLSv1.2', rejectUnauthorized: false," +
      " ALPNProtocols: ['h2'] }); s.on('secureConnect', () => { console.log('connected'); s.destroy(); });" +
      " s.on('error', (e) => console.log(e.code))";
    const { stdout } = await pair.a.node.exec(['node', '-e', script]);
    assert.equal(stdout.trim(), 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION');
  });

  await t.test('health and metrics answer without a certificate', async () => {
    const { node, agent } = pair.a;
    await agent.call('getNodeInfo', {});
    const script =
      "Promise.all(['healthz', 'readyz', 'metrics', 'x'].map(async (path) => { const r = await fetch('http://127.0.0.1:50052/' + path);" +
      ' return r.status + " " + (await r.text()); })).then((all) => console.log(JSON.stringify(all)))';
    const { stdout } = await node.exec(['node', '-e', script]);
    const [healthz, readyz, metrics, other] = JSON.parse(stdout) as string[];
    assert.deepEqual([healthz, readyz, other], ['200 ok\n', '200 ok\n', '404 not found\n']);
    assert.match(metrics ?? '', /^200 # HELP lpm_agent_[^]*\nlpm_agent_frozen_containers 0\n/);
  });

  await t.test(
    'an agent that is asked to end does so at once, and serves again when it is started',
    async () => {
      const before = Date.now();
      await pair.a.node.restartService('agent', { signal: 'TERM' });
      assert.ok(Date.now() - before < 8000);
      await serving(pair.a);
    },
  );
});
