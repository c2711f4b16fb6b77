/** The controller's authority and the agents' certificates, between the real programs' parts and an API server in memory. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { Client, Server } from '@grpc/grpc-js';
import type { Authority } from '../../agent/identity/authority.js';
import { askSigners } from '../../agent/identity/ask-signer.js';
import { IssuedIdentity as AgentIdentity } from '../../agent/identity/issued.js';
import { newRequest } from '../../agent/identity/request.js';
import { createLogger } from '../../agent/log.js';
import {
  AGENT_ACCOUNT,
  agentDnsName,
  AUTHORITY_CONFIG_MAP,
  AUTHORITY_SECRET,
  ROTATE_ANNOTATION,
  SIGNER_AUDIENCE,
  SYSTEM_NAMESPACE,
} from '../../common/api/names.js';
import { clientCredentials } from '../../common/grpc/client-credentials.js';
import { TlsListener } from '../../common/grpc/tls-listener.js';
import { certificatesOf, type Identity } from '../../common/identity/identity.js';
import { KubeClient } from '../../common/kube/client.js';
import { loadKubeConfig } from '../../common/kube/config.js';
import type { Pod } from '../../common/kube/types.js';
import { Connection } from '../../controller/agents/connection.js';
import { AuthoritySecret } from '../../controller/identity/authority-secret.js';
import { IssuedIdentity } from '../../controller/identity/issued.js';
import { publish } from '../../controller/identity/publish.js';
import { serveSigner, type Signer } from '../../controller/identity/signer.js';
import { Log } from '../../controller/log.js';
import { HealthCheckResponse, HealthService } from '../../proto/gen/grpc/health/v1/health.js';
import { startTestApiServer, type TestApiServer } from '../cluster/apiserver/testing.js';
import { until } from '../support/until.js';

const HOUR = 3600_000;
const namespace = SYSTEM_NAMESPACE;
const log = new Log('error');

let api: TestApiServer;
let client: KubeClient;
let folder: string;
const ends: (() => unknown)[] = [];

before(async () => {
  api = await startTestApiServer({ crds: false });
  client = new KubeClient(loadKubeConfig({ kubeconfig: api.kubeconfig }), { userAgent: 'test' });
  folder = mkdtempSync(join(tmpdir(), 'lpm-identity-'));
  await client.namespaces.create({ metadata: { name: namespace } });
  for (const name of [AGENT_ACCOUNT, 'other']) {
    const body = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name } };
    await client.json('POST', `/api/v1/namespaces/${namespace}/serviceaccounts`, { body });
  }
  await client.nodes.create({ metadata: { name: 'worker' } });
  const replica = await makePod('controller', { 'control-plane': 'controller-manager' }, 'other');
  await client.pods.patchStatus(replica.metadata.name, namespace, { phase: 'Running', podIP: '127.0.0.1' });
});
after(async () => {
  client.close();
  await api.close();
  rmSync(folder, { recursive: true });
});
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
  await client.secrets.delete(AUTHORITY_SECRET, namespace);
  rmSync(join(folder, 'identity.json'), { force: true });
});

const makePod = (name: string, labels: Record<string, string>, serviceAccountName = AGENT_ACCOUNT) =>
  client.pods.create(
    {
      metadata: { name, namespace, labels },
      spec: { nodeName: 'worker', serviceAccountName, containers: [{ name: 'main', image: 'none' }] },
    },
    namespace,
  );

async function tokenOf(pod: Pod, audience = SIGNER_AUDIENCE): Promise<string> {
  const { name, uid } = pod.metadata;
  const { status } = await client.json<{ status: { token: string } }>(
    'POST',
    `/api/v1/namespaces/${namespace}/serviceaccounts/${pod.spec!.serviceAccountName}/token`,
    {
      body: {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        spec: { audiences: [audience], boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name, uid } },
      },
    },
  );
  return status.token;
}

const emptySecret = () =>
  client.secrets.create({ metadata: { name: AUTHORITY_SECRET, namespace } }, namespace);

/** A replica of the controller, as far as certificates go. */
async function startReplica(
  more: { random?: () => number } = {},
  now = Date.now,
): Promise<{ identity: IssuedIdentity; signer: Signer }> {
  const times = { lifetimeMs: 10 * HOUR, overlapMs: HOUR };
  const authorities = new AuthoritySecret(client, namespace, times, () => {}, now);
  const identity = await IssuedIdentity.start({ authorities, lifetimeMs: HOUR, log, ...more });
  const signer = await serveSigner('127.0.0.1:0', { identity, client, namespace, log });
  ends.push(() => {
    signer.close();
    identity.close();
  });
  return { identity, signer };
}

async function published(): Promise<Authority> {
  const { data = {} } = await client.configMaps.get(AUTHORITY_CONFIG_MAP, namespace);
  return { ca: data['ca.crt']!, signers: data['signers']!.split('\n').filter(Boolean) };
}

function startAgent(pod: Pod, more: { random?: () => number } = {}): AgentIdentity {
  let token = '';
  const agent = new AgentIdentity({
    ...{ folder, nodeName: 'worker', lookEveryMs: 200 },
    authority: async () => {
      token = await tokenOf(pod);
      return published();
    },
    sign: askSigners,
    token: () => token,
    log: createLogger('error'),
    ...more,
  });
  ends.push(async () => {
    agent.close();
    await agent.ended;
  });
  return agent;
}

test('replicas that start at once on an empty Secret have the same authority, whose key nobody else has', async () => {
  await emptySecret();
  const replicas = await Promise.all([startReplica(), startReplica(), startReplica()]);
  assert.equal(new Set(replicas.map(({ identity }) => identity.bundle)).size, 1);
  const { identity, signer } = replicas[0];
  await publish({ client, namespace, bundle: () => identity.bundle, signerPort: signer.port, ...unused });
  const { ca, signers } = await published();
  assert.equal(ca, identity.bundle);
  assert.deepEqual(signers, [`127.0.0.1:${signer.port}`]);
  assert.doesNotMatch(
    JSON.stringify(await client.configMaps.get(AUTHORITY_CONFIG_MAP, namespace)),
    /PRIVATE/,
  );
});

const unused = { leadership: { acquired: Promise.resolve() }, log };

test('an agent gets a certificate for the node of its pod, keeps it for itself, and starts with it again', async () => {
  await emptySecret();
  const { identity, signer } = await startReplica();
  await publish({ client, namespace, bundle: () => identity.bundle, signerPort: signer.port, ...unused });
  const pod = await makePod('agent-1', { app: 'checkpoint-agent' });
  const agent = startAgent(pod);
  assert.match(agent.problem, /no certificate yet/);
  const { cert, ca } = await until('it has a certificate', () => agent.current);
  assert.equal(agent.problem, '');
  assert.equal(ca, identity.bundle);
  const made = new X509Certificate(cert);
  assert.equal(made.subject, 'O=lpm:agents\nCN=lpm-agent:worker');
  assert.equal(made.subjectAltName, `DNS:${agentDnsName('worker')}`);

  const file = join(folder, 'identity.json');
  assert.equal(statSync(file).mode & 0o777, 0o600);
  signer.close();
  assert.equal(startAgent(pod).current?.cert, cert, 'nobody signs now');
  const elsewhere = new AgentIdentity({
    ...{ folder, nodeName: 'other', token: () => '', sign: askSigners, log: createLogger('error') },
    authority: () => Promise.reject(new Error('no API server')),
  });
  assert.equal(elsewhere.current, undefined, 'it is no other node’s');
  assert.ok(JSON.parse(readFileSync(file, 'utf8')));
  elsewhere.close();
});

test('a certificate is for the token of an agent’s pod and for nothing else', async () => {
  await emptySecret();
  const { identity, signer } = await startReplica();
  const ask = async (token: string, request?: Buffer): Promise<unknown> =>
    askSigners(
      { ca: identity.bundle, signers: [`127.0.0.1:${signer.port}`] },
      { token, request: request ?? (await newRequest()).der },
    );
  const agent = await makePod('agent-2', { app: 'checkpoint-agent' });
  const plain = await makePod('no-agent', { app: 'else' });
  const other = await makePod('other-account', { app: 'checkpoint-agent' }, 'other');
  const good = await tokenOf(agent);
  await ask(good);
  for (const [token, why] of [
    ['', /no token for/],
    [`${good.slice(0, -8)}AAAAAAAA`, /does not allow a certificate/],
    [await tokenOf(agent, 'https://kubernetes.default.svc.cluster.local'), /no token for/],
    [await tokenOf(plain), /no-agent is no agent/],
    [await tokenOf(other), /it is that of system:serviceaccount:.*:other/],
  ] as const) {
    await assert.rejects(ask(token), why);
  }
  await assert.rejects(ask(good, Buffer.from('garbage')), /signing request cannot be used/);
  await assert.rejects(ask(good, Buffer.alloc(100_000)), /larger than max/);
  await client.pods.delete('agent-2', namespace, { gracePeriodSeconds: 0 });
  await assert.rejects(ask(good), /does not allow a certificate/);
  const others = await startOthers();
  await assert.rejects(
    askSigners(
      { ca: others, signers: [`127.0.0.1:${signer.port}`] },
      { token: good, request: Buffer.alloc(0) },
    ),
    /Nobody signs/,
    'a signer of another authority is told no token',
  );
});

/** The bundle of an authority that signs nothing here. */
async function startOthers(): Promise<string> {
  const { makeAuthority } = await import('../../controller/identity/certificates.js');
  return (await makeAuthority(HOUR)).cert;
}

test('calls go on while certificates and their authority are replaced', async () => {
  await emptySecret();
  // Every certificate is due as soon as it is there.
  const random = (): number => 100;
  let ahead = 0;
  const { identity, signer } = await startReplica({ random }, () => Date.now() + ahead);
  const publishNow = async (): Promise<void> => {
    await identity.look();
    await publish({ client, namespace, bundle: () => identity.bundle, signerPort: signer.port, ...unused });
  };
  await publishNow();
  const agent = startAgent(await makePod('agent-3', { app: 'checkpoint-agent' }), { random });
  await until('the agent has a certificate', () => agent.current);
  const server = new Server();
  let end: (() => void) | undefined;
  server.addService(HealthService, {
    check: (_: unknown, answer: (error: null, value: HealthCheckResponse) => void) =>
      answer(null, HealthCheckResponse.fromPartial({})),
    watch: (call: { write: (value: HealthCheckResponse) => void; end: () => void }) => {
      end = () => {
        call.write(HealthCheckResponse.fromPartial({}));
        call.end();
      };
    },
  });
  const listener = new TlsListener(server, agent);
  const port = await listener.listen('127.0.0.1:0');
  const name = agentDnsName('worker');
  const tls = clientCredentials(identity.controller);
  let used = tls();
  const connection = new Connection(
    () =>
      new Client(`127.0.0.1:${port}`, (used = tls()), {
        'grpc.ssl_target_name_override': name,
        'grpc.use_local_subchannel_pool': 1,
      }),
    { isOutdated: () => used !== tls() },
  );
  ends.push(async () => {
    listener.close();
    await connection.close();
    server.forceShutdown();
  });

  const { check, watch } = HealthService;
  const long = connection.client.makeServerStreamRequest(
    watch.path,
    watch.requestSerialize,
    watch.responseDeserialize,
    { service: '' },
  );
  let received = 0;
  long.on('data', () => (received += 1));
  const longEnded = new Promise<void>((resolve, reject) => long.on('end', resolve).on('error', reject));

  const call = (): Promise<void> =>
    new Promise((resolve, reject) =>
      connection.client.makeUnaryRequest(
        check.path,
        check.requestSerialize,
        check.responseDeserialize,
        { service: '' },
        { deadline: Date.now() + 10_000 },
        (error) => (error ? reject(error) : resolve()),
      ),
    );
  const both = (): Identity[] => [agent.current!, identity.controller.current!];
  const shown = new Set<string>();
  const failed: unknown[] = [];
  /** Waits for it, with a call after the other meanwhile; each must be answered. */
  const whileCalling = (what: string, look: () => boolean): Promise<boolean> =>
    until(
      what,
      async () => {
        await call().catch((error: unknown) => failed.push(error));
        for (const { cert } of both()) shown.add(cert);
        return look();
      },
      { everyMs: 5 },
    );

  const old = issuerOf(agent.current!);
  await client.secrets.patch(AUTHORITY_SECRET, namespace, {
    metadata: { annotations: { [ROTATE_ANNOTATION]: 'now' } },
  });
  await publishNow();
  await whileCalling(
    'the agent believes both authorities',
    () => certificatesOf(agent.current!.ca).length === 2,
  );
  await whileCalling('its certificate is renewed', () => shown.size >= 4);
  assert.deepEqual(new Set(both().map(issuerOf)), new Set([old]), 'the old one signs');
  // As soon as everybody must have heard of it.
  ahead = HOUR;
  await publishNow();
  await whileCalling('both have certificates of the new authority', () =>
    both().every((one) => issuerOf(one) !== old),
  );
  await call();
  const { metadata, data = {} } = await client.secrets.get(AUTHORITY_SECRET, namespace);
  assert.equal(metadata.annotations?.[ROTATE_ANNOTATION], undefined);
  assert.deepEqual(Object.keys(data).sort(), ['ca.crt', 'ca.key', 'old.crt'], 'the old key is gone');
  end!();
  await longEnded;
  assert.deepEqual(failed, []);
  assert.equal(received, 1, 'the call that began with the first certificates');
});

const issuerOf = ({ cert }: Identity): string => new X509Certificate(cert).issuer;
