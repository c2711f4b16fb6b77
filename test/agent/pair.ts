/**
 * Two connected nodes of the test cluster, each with the real agent, and a controller's client for each: what the agent's
 * tests talk to.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { credentials, type handleUnaryCall, type ServiceError } from '@grpc/grpc-js';
import { bundle } from '../../build.mjs';
import {
  AGENT_COMMON_NAME_PREFIX,
  AGENT_ORGANIZATION,
  agentDnsName,
  CONTROLLER_COMMON_NAME,
  CONTROLLER_ORGANIZATION,
} from '../../common/api/names.js';
import {
  AgentServiceClient,
  ErrorDetail,
  type AgentServiceServer,
  type Progress,
} from '../../proto/gen/lpm/v1/agent.js';
import { openCri, type Cri } from '../cluster/cri.js';
import { makeLabNetwork, startNamespaceHolder } from '../cluster/node/network.js';
import { nodeRoot } from '../cluster/node-root.js';
import { startNode, type NodeHandle } from '../cluster/node/start.js';
import { createCa, issueCertificate, type KeyPair } from '../cluster/pki.js';
import { endProcess, type ProcessRecord } from '../cluster/processes.js';

const addresses = { a: '10.88.7.10', b: '10.88.7.20' } as const;
const cidrs = { a: '10.244.71.0/24', b: '10.244.72.0/24' } as const;

/** One node with its agent. */
export interface AgentNode {
  node: NodeHandle;
  cri: Cri;
  agent: AgentClient;
  /** "IP:port" of the agent, as other nodes reach it. */
  address: string;
}

export interface Pair {
  a: AgentNode;
  b: AgentNode;
  ca: KeyPair;
  /** A client with another certificate. */
  connect(to: AgentNode, certificate: KeyPair): AgentClient;
  stop(): Promise<void>;
}

/** What an agent answered instead of a result. */
export class AgentError extends Error {
  constructor(
    readonly detail: ErrorDetail,
    readonly code: number,
  ) {
    super(detail.message);
  }
  get reason(): string {
    return this.detail.reason;
  }
}

type UnaryName =
  'getNodeInfo' | 'inspectPod' | 'getPodState' | 'commit' | 'revoke' | 'thaw' | 'endSource' | 'discard';
type Request<Name extends UnaryName | 'checkpoint' | 'restore' | 'pullArtifacts'> = Parameters<
  AgentServiceClient[Name]
>[0];
type Response<Name extends UnaryName> =
  AgentServiceServer[Name] extends handleUnaryCall<never, infer Answer> ? Answer : never;

export class AgentClient {
  constructor(readonly raw: AgentServiceClient) {}

  call<Name extends UnaryName>(name: Name, request: Request<Name>): Promise<Response<Name>> {
    return new Promise((resolve, reject) => {
      const method = this.raw[name].bind(this.raw) as unknown as (
        request: Request<Name>,
        done: (error: ServiceError | null, response: Response<Name>) => void,
      ) => unknown;
      method(request, (error, response) => (error ? reject(explain(error)) : resolve(response)));
    });
  }

  checkpoint(request: Request<'checkpoint'>, onProgress?: (progress: Progress) => void) {
    return lastOf(this.raw.checkpoint(request), onProgress);
  }
  restore(request: Request<'restore'>, onProgress?: (progress: Progress) => void) {
    return lastOf(this.raw.restore(request), onProgress);
  }
}

async function lastOf<Result>(
  stream: AsyncIterable<unknown>,
  onProgress: (progress: Progress) => void = () => {},
): Promise<Result> {
  let result: Result | undefined;
  try {
    for await (const message of stream) {
      const { event } = message as {
        event: { $case: 'progress'; value: Progress } | { $case: 'result'; value: Result };
      };
      if (event.$case === 'progress') onProgress(event.value);
      else result = event.value;
    }
  } catch (error) {
    throw explain(error as ServiceError);
  }
  if (result === undefined) throw new Error('the stream ended without a result');
  return result;
}

function explain(error: ServiceError): Error {
  const [raw] = error.metadata?.get('lpm-error-bin') ?? [];
  return raw instanceof Buffer ? new AgentError(ErrorDetail.decode(raw), error.code) : error;
}

export async function startPair(): Promise<Pair> {
  const dir = mkdtempSync(join(tmpdir(), 'lpm-agents-'));
  const ends: (() => unknown)[] = [() => rmSync(dir, { recursive: true, force: true })];
  const stop = async (): Promise<void> => {
    for (const end of ends.reverse()) await end();
  };
  try {
    await bundle('agent/main.ts', join(dir, 'bin/agent.mjs'));
    const ca = await createCa('lpm-test');
    const root = await nodeRoot(() => {});
    const lab = await startNamespaceHolder();
    ends.push(() => endProcess(lab, 0));
    await makeLabNetwork(root, lab, '10.88.7.1/24');
    const controller = await issueCertificate(ca, {
      commonName: CONTROLLER_COMMON_NAME,
      organization: [CONTROLLER_ORGANIZATION],
      usages: ['client'],
    });
    const connect = (to: { node: NodeHandle }, certificate: KeyPair): AgentClient => {
      const client = clientOf(join(dir, `${to.node.name}.sock`), to.node.name, ca, certificate);
      ends.push(() => client.close());
      return new AgentClient(client);
    };
    const one = async (key: 'a' | 'b'): Promise<AgentNode> => {
      const name = `node-${key}`;
      const other = key === 'a' ? 'b' : 'a';
      const node = await startNode({
        dir: join(dir, name),
        name,
        podCidr: cidrs[key],
        network: {
          lab,
          link: {
            ip: addresses[key],
            podCidr: cidrs[key],
            gateway: '10.88.7.1',
            peers: [{ ip: addresses[other], podCidr: cidrs[other] }],
          },
        },
        binds: [
          { from: join(dir, 'bin'), to: '/mnt', mode: 'ro' },
          { from: await writeTls(dir, name, addresses[key], ca), to: '/etc/lpm/tls', mode: 'ro' },
        ],
      });
      ends.push(() => node.stop());
      await node.startService('agent', [
        'node',
        '/mnt/agent.mjs',
        '--node-name',
        name,
        '--log-level',
        'debug',
      ]);
      ends.push(await relay(lab, join(dir, `${name}.sock`), addresses[key]));
      const cri = openCri(node.criSocket);
      ends.push(() => cri.close());
      return { node, cri, agent: connect({ node }, controller), address: `${addresses[key]}:50051` };
    };
    const a = await one('a');
    const b = await one('b');
    await Promise.all([serving(a), serving(b)]);
    return { a, b, ca, connect, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function writeTls(dir: string, name: string, ip: string, ca: KeyPair): Promise<string> {
  const folder = join(dir, `${name}-tls`);
  mkdirSync(folder);
  const { cert, key } = await issueCertificate(ca, {
    commonName: `${AGENT_COMMON_NAME_PREFIX}${name}`,
    organization: [AGENT_ORGANIZATION],
    dnsNames: [agentDnsName(name)],
    ipAddresses: [ip],
    usages: ['client', 'server'],
  });
  writeFileSync(join(folder, 'tls.crt'), cert);
  writeFileSync(join(folder, 'tls.key'), key);
  writeFileSync(join(folder, 'ca.crt'), ca.cert);
  return folder;
}

/** The nodes' network is not this process's; a unix socket is seen on both sides. */
async function relay(lab: ProcessRecord, socket: string, ip: string): Promise<() => void> {
  const script =
    `const net = require('node:net'); net.createServer((near) => { const far = net.connect(50051, '${ip}');` +
    `for (const [from, to] of [[near, far], [far, near]]) { from.pipe(to); from.on('error', () => to.destroy());` +
    `from.on('close', () => to.destroy()); } }).listen('${socket}')`;
  const child: ChildProcess = spawn(
    'nsenter',
    [`--net=/proc/${lab.pid}/ns/net`, process.execPath, '-e', script],
    {
      stdio: ['ignore', 'inherit', 'inherit'],
    },
  );
  while (!existsSync(socket)) await delay(5);
  return () => void child.kill('SIGKILL');
}

function clientOf(socket: string, nodeName: string, ca: KeyPair, certificate: KeyPair): AgentServiceClient {
  const tls = credentials.createSsl(
    Buffer.from(ca.cert),
    Buffer.from(certificate.key),
    Buffer.from(certificate.cert),
  );
  return new AgentServiceClient(`unix:${socket}`, tls, {
    'grpc.ssl_target_name_override': agentDnsName(nodeName),
    'grpc.default_authority': agentDnsName(nodeName),
    'grpc.initial_reconnect_backoff_ms': 50,
    'grpc.max_reconnect_backoff_ms': 200,
  });
}

/** Waits until an agent answers. */
export async function serving({ agent, node }: Pick<AgentNode, 'agent' | 'node'>): Promise<void> {
  const deadline = Date.now() + 20_000;
  for (;;) {
    try {
      await agent.call('getPodState', { podUid: '00000000-0000-0000-0000-000000000000' });
      return;
    } catch (error) {
      if (Date.now() > deadline) throw new Error(`${String(error)}\n${agentLog(node)}`);
      await delay(50);
    }
  }
}

export function agentLog(node: NodeHandle): string {
  try {
    return readFileSync(join(node.dir, 'logs/agent.log'), 'utf8').split('\n').slice(-30).join('\n');
  } catch {
    return '(no log)';
  }
}
