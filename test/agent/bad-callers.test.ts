/** What a port scan's worth of strangers, and callers with the wrong certificate, get of an agent: nothing, and it serves on. */
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { after, before, test } from 'node:test';
import { credentials, status, type ServiceError } from '@grpc/grpc-js';
import { AGENT_ORGANIZATION, agentDnsName, CONTROLLER_ORGANIZATION } from '../../common/api/names.js';
import { AgentServiceClient } from '../../proto/gen/lpm/v1/agent.js';
import { createCa, issueCertificate, type KeyPair } from '../cluster/pki.js';
import { until } from '../support/until.js';
import { AgentError, startPair, type AgentClient, type Pair } from './pair.js';

const skip = process.getuid?.() !== 0 && 'needs root: nodes with containerd, runc and CRIU';
const STRANGERS = 1000;

test('bad callers', { skip }, async (t) => {
  let pair: Pair;
  before(async () => {
    pair = await startPair();
  });
  after(async () => pair?.stop());

  const certificate = (ca: KeyPair, organization: string, days?: number): Promise<KeyPair> =>
    issueCertificate(ca, {
      commonName: 'somebody',
      organization: [organization],
      usages: ['client'],
      ...(days === undefined ? {} : { days }),
    });
  const answerTo = (work: Promise<unknown>): Promise<string> =>
    work.then(
      () => 'ok',
      (error: unknown) =>
        error instanceof AgentError ? error.reason : (status[(error as ServiceError).code] ?? String(error)),
    );
  const changes = (client: AgentClient): Promise<string> =>
    answerTo(client.call('discard', { checkpointUid: randomUUID(), podUid: '' }));
  /** The agent's resident memory, MiB. */
  const memory = async (): Promise<number> => {
    const script = 'grep VmRSS /proc/$(pgrep -of agent.mjs)/status';
    const { stdout } = await pair.a.node.exec(['sh', '-c', script]);
    return Number(/(\d+) kB/.exec(stdout)?.[1]) / 1024;
  };
  const serves = async (): Promise<void> => {
    const { nodeName } = await pair.a.agent.call('getNodeInfo', {});
    assert.equal(nodeName, pair.a.node.name);
  };
  /** A connection to the agent's port; asked again while too many wait to be accepted (EAGAIN). */
  const socket = (): Promise<Socket> =>
    until(
      'there is a connection',
      () =>
        new Promise<Socket>((resolve, reject) => {
          const made = connect(pair.a.socket, () => resolve(made));
          made.on('error', reject);
          made.resume();
        }),
      { everyMs: 10 },
    );
  const closed = (one: Socket): Promise<void> =>
    new Promise((resolve) => (one.closed ? resolve() : one.once('close', () => resolve())));

  await t.test('with no, a foreign or an expired certificate get no answer', async () => {
    const bare = new AgentServiceClient(
      `unix:${pair.a.socket}`,
      credentials.createSsl(Buffer.from(pair.ca.cert)),
      {
        'grpc.ssl_target_name_override': agentDnsName(pair.a.node.name),
      },
    );
    await assert.rejects(
      new Promise((resolve, reject) =>
        bare.getNodeInfo({}, (error, info) => (error ? reject(error) : resolve(info))),
      ),
      { code: status.UNAVAILABLE },
    );
    bare.close();
    const foreign = await certificate(await createCa('lpm-test'), CONTROLLER_ORGANIZATION);
    assert.equal(await changes(pair.connect(pair.a, foreign)), 'UNAVAILABLE', 'foreign');
    const expired = await certificate(pair.ca, CONTROLLER_ORGANIZATION, -1 / (24 * 60));
    assert.equal(await changes(pair.connect(pair.a, expired)), 'UNAVAILABLE', 'expired');
    await serves();
  });

  await t.test('with an agent’s certificate may call no method of the controller’s', async () => {
    const agent = pair.connect(pair.a, await certificate(pair.ca, AGENT_ORGANIZATION));
    assert.equal(await changes(agent), 'NotAuthorized');
    for (const method of ['getNodeInfo', 'listHoldings', 'listArchives'] as const) {
      assert.equal(await answerTo(agent.call(method, { clusterUid: '' })), 'NotAuthorized', method);
    }
  });

  await t.test(
    'a certificate that expires while its connection is open is refused from then on',
    async () => {
      const seconds = 5;
      const ends = Date.now() + seconds * 1000;
      const brief = pair.connect(
        pair.a,
        await certificate(pair.ca, CONTROLLER_ORGANIZATION, seconds / 86_400),
      );
      assert.equal(await changes(brief), 'ok');
      const refusal = await until('it is refused', async () => {
        const answer = await changes(brief);
        return answer !== 'ok' && answer;
      });
      assert.equal(refusal, 'NoCertificate');
      assert.ok(Date.now() >= ends - 1000);
    },
  );

  await t.test('that send garbage are cut off', async () => {
    const before = await memory();
    for (let n = 0; n < 50; n += 1) {
      const one = await socket();
      one.write(randomBytes(64 * 1024));
      await closed(one);
    }
    // A record of TLS that announces more than ever comes.
    const half = await socket();
    half.write(Buffer.from([22, 3, 1, 0x40, 0]));
    await serves();
    half.destroy();
    assert.ok((await memory()) < before + 100);
  });

  await t.test('that know TLS but not HTTP/2 are cut off', async () => {
    const own = await certificate(pair.ca, CONTROLLER_ORGANIZATION);
    const tls = connectTls({
      ...{ path: pair.a.socket, ca: pair.ca.cert, servername: agentDnsName(pair.a.node.name), ...own },
      ALPNProtocols: ['h2'],
    });
    tls.on('error', () => {});
    tls.resume();
    await new Promise<void>((resolve) => tls.once('secureConnect', resolve));
    tls.write(randomBytes(64 * 1024));
    await closed(tls);
    await serves();
  });

  await t.test('that send more than a message may have are refused before it is read', async () => {
    const before = await memory();
    const name = 'x'.repeat(8 << 20);
    for (let n = 0; n < 10; n += 1) {
      const call = pair.a.agent.call('inspectPod', {
        pod: { name, namespace: 'default', uid: randomUUID() },
      });
      assert.equal(await answerTo(call), 'RESOURCE_EXHAUSTED');
    }
    assert.ok((await memory()) < before + 150);
    await serves();
  });

  await t.test(`a thousand half-open connections leave it serving, with bounded memory`, async (t) => {
    const before = await memory();
    const sockets: Socket[] = [];
    try {
      for (let n = 0; n < STRANGERS; n += 1) sockets.push(await socket());
      const slowest: number[] = [];
      for (let n = 0; n < 5; n += 1) {
        // A new connection each time, as a controller that has just started makes one.
        const begin = performance.now();
        const client = pair.connect(pair.a, await certificate(pair.ca, CONTROLLER_ORGANIZATION));
        assert.equal(await changes(client), 'ok');
        slowest.push(performance.now() - begin);
      }
      const grown = (await memory()) - before;
      t.diagnostic(`${grown.toFixed(0)} MiB more, slowest new caller ${Math.max(...slowest).toFixed(0)} ms`);
      assert.ok(grown < 100, `${grown} MiB more`);
      await until(
        'all but a few are cut off',
        () => sockets.filter((one) => one.closed).length >= STRANGERS - 128,
      );
      await until('the others too', () => sockets.every((one) => one.closed), { timeoutMs: 60_000 });
    } finally {
      for (const one of sockets) one.destroy();
    }
    await serves();
  });
});
