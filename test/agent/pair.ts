/**
 * Two connected nodes of the test cluster, each with the real agent, and a controller's client for each: what the agent's
 * tests talk to.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { bundle } from '../../build.mjs';
import { CHECKPOINT_REPOSITORY } from '../../common/api/names.js';
import { openCri, type Cri } from '../cluster/cri.js';
import { makeLabNetwork, startNamespaceHolder } from '../cluster/node/network.js';
import { nodeRoot } from '../cluster/node-root.js';
import { startNode, type NodeHandle } from '../cluster/node/start.js';
import { createCa, type KeyPair } from '../cluster/pki.js';
import { endProcess, type ProcessRecord } from '../cluster/processes.js';
import { controllerCertificate, writeAgentTls } from './certificates.js';
import { AgentClient } from './client.js';

export { AgentClient, AgentError } from './client.js';

const addresses = { a: '10.88.7.10', b: '10.88.7.20' } as const;
const cidrs = { a: '10.244.71.0/24', b: '10.244.72.0/24' } as const;

/** One node with its agent. */
export interface AgentNode {
  node: NodeHandle;
  cri: Cri;
  agent: AgentClient;
  /** "IP:port" of the agent, as other nodes reach it. */
  address: string;
  /** A unix socket that leads to it from here. */
  socket: string;
}

export interface Pair {
  a: AgentNode;
  b: AgentNode;
  /** The folder that both have mounted as the repository, if they have. */
  repository: string;
  ca: KeyPair;
  /** A client with another certificate. */
  connect(to: AgentNode, certificate: KeyPair): AgentClient;
  stop(): Promise<void>;
}

export interface PairOptions {
  /** The agents stop at the fault points that are armed in the folder /run/lpm-faults of their nodes. */
  faults?: boolean;
  /** Both nodes have the same folder mounted as the repository of archives. */
  repository?: boolean;
  /** More of the agents' flags. */
  flags?: readonly string[];
}

export async function startPair({
  faults = false,
  flags = [],
  repository = false,
}: PairOptions = {}): Promise<Pair> {
  const dir = mkdtempSync(join(tmpdir(), 'lpm-agents-'));
  const ends: (() => unknown)[] = [() => rmSync(dir, { recursive: true, force: true })];
  const stop = async (): Promise<void> => {
    for (const end of ends.reverse()) await end();
  };
  try {
    await bundle('agent/main.ts', join(dir, 'bin/agent.mjs'), { faults });
    const shared = join(dir, 'repository');
    mkdirSync(shared);
    const ca = await createCa('lpm-test');
    const root = await nodeRoot(() => {});
    const lab = await startNamespaceHolder();
    ends.push(() => endProcess(lab, 0));
    await makeLabNetwork(root, lab, '10.88.7.1/24');
    const controller = await controllerCertificate(ca);
    const connect = (to: { node: NodeHandle }, certificate: KeyPair): AgentClient => {
      const client = AgentClient.connect(`unix:${join(dir, `${to.node.name}.sock`)}`, to.node.name, {
        ca: ca.cert,
        ...certificate,
      });
      ends.push(() => client.raw.close());
      return client;
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
          { from: join(dir, 'bin'), to: '/opt/agent', mode: 'ro' },
          ...(repository ? [{ from: shared, to: CHECKPOINT_REPOSITORY, mode: 'rw' as const }] : []),
          {
            from: await writeAgentTls(join(dir, `${name}-tls`), name, addresses[key], ca),
            to: '/etc/lpm/tls',
            mode: 'ro',
          },
        ],
      });
      ends.push(() => node.stop());
      await node.startService('agent', [
        'node',
        '/opt/agent/agent.mjs',
        '--node-name',
        name,
        '--log-level',
        'debug',
        ...flags,
      ]);
      ends.push(await relay(lab, join(dir, `${name}.sock`), addresses[key]));
      const cri = openCri(node.criSocket);
      ends.push(() => cri.close());
      return {
        node,
        cri,
        agent: connect({ node }, controller),
        address: `${addresses[key]}:50051`,
        socket: join(dir, `${name}.sock`),
      };
    };
    const a = await one('a');
    const b = await one('b');
    await Promise.all([serving(a), serving(b)]);
    return { a, b, repository: shared, ca, connect, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The nodes' network (that of the process) is not this process's; a unix socket is seen on both sides. */
export async function relay(lab: ProcessRecord, socket: string, ip: string): Promise<() => void> {
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

/** Waits until an agent answers. */
export async function serving({ agent, node }: Pick<AgentNode, 'agent' | 'node'>): Promise<void> {
  try {
    await agent.serving();
  } catch (error) {
    throw new Error(`${String(error)}\n${agentLog(node)}`);
  }
}

export function agentLog(node: NodeHandle): string {
  try {
    return readFileSync(join(node.dir, 'logs/agent.log'), 'utf8').split('\n').slice(-30).join('\n');
  } catch {
    return '(no log)';
  }
}
