/** A node as its administrator has made it, and an agent that is told to set it up. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { bundle, runtimeHandler } from '../../build.mjs';
import type { GetNodeInfoResponse } from '../../proto/gen/lpm/v1/agent.js';
import { controllerCertificate, writeAgentTls } from '../agent/certificates.js';
import { AgentClient } from '../agent/client.js';
import { relay } from '../agent/pair.js';
import { openCri, type Cri } from '../cluster/cri.js';
import { debianRoot } from '../cluster/debian-root.js';
import { startNode, type NodeHandle } from '../cluster/node/start.js';
import { createCa } from '../cluster/pki.js';
import { must } from '../cluster/run.js';
import { until } from '../support/until.js';

/** A node of Debian trixie: containerd 1.7, and crun beside runc. */
export const olderRoot = (): Promise<string> =>
  debianRoot(
    {
      name: 'setup-root',
      what: 'a node with containerd 1.7',
      packages: [
        'ca-certificates',
        'containerd',
        'containernetworking-plugins',
        'crun',
        'runc',
        'iproute2',
        'iptables',
        'procps',
        'tar',
      ],
      suite: 'trixie',
    },
    () => {},
  );

export interface AdminNode {
  /** undefined: Debian forky with containerd 2. */
  root?: string | undefined;
  /** Text of containerd's main file; undefined: the package's. */
  config?: string | undefined;
  /** Further files. */
  files?: Readonly<Record<string, string>>;
}

export interface SettingUp {
  node: NodeHandle;
  cri: Cri;
  /** Starts the agent, or starts it anew, and waits until its set-up has come to one of these states. */
  agent(states: readonly string[], ...flags: string[]): Promise<GetNodeInfoResponse>;
  info(): Promise<GetNodeInfoResponse>;
  endAgent(): Promise<void>;
  uninstall(...flags: string[]): Promise<{ code: number; stdout: string; stderr: string }>;
  /** The handler in the agent's image. */
  shippedHandler: string;
  /** Every file of the administrator's and ours: path → contents. */
  files(): Promise<Record<string, string>>;
  /** PID of containerd inside the node. */
  runtimePid(): string;
  agentLog(): string;
  stop(): Promise<void>;
}

export async function settingUp({ root, config, files = {} }: AdminNode): Promise<SettingUp> {
  const dir = mkdtempSync(join(tmpdir(), 'lpm-setup-'));
  const ends: (() => unknown)[] = [() => rmSync(dir, { recursive: true, force: true })];
  const stop = async (): Promise<void> => {
    for (const end of ends.reverse()) await end();
  };
  try {
    await bundle('agent/main.ts', join(dir, 'bin/agent.mjs'));
    const shipped = join(dir, 'bin/files/bin');
    mkdirSync(shipped, { recursive: true });
    writeFileSync(join(shipped, 'lpm-runtime'), await runtimeHandler(), { mode: 0o755 });
    const ca = await createCa('lpm-test');
    const node = await startNode({
      dir: join(dir, 'node'),
      name: 'node',
      ...(root ? { root } : {}),
      containerd: config ?? null,
      handler: false,
      prepare: (upper) => {
        for (const [path, text] of Object.entries(files)) {
          mkdirSync(dirname(join(upper, path)), { recursive: true });
          writeFileSync(join(upper, path), text, { mode: path.includes('/bin/') ? 0o755 : 0o644 });
        }
      },
      binds: [
        { from: join(dir, 'bin'), to: '/usr/local/lib/agent', mode: 'ro' },
        {
          from: await writeAgentTls(join(dir, 'tls'), 'node', '127.0.0.1', ca),
          to: '/etc/lpm/tls',
          mode: 'ro',
        },
      ],
    });
    ends.push(() => node.stop());
    const cri = openCri(node.criSocket);
    ends.push(() => cri.close());
    const certificate = await controllerCertificate(ca);
    const socket = join(dir, 'agent.sock');
    ends.push(await relay(node.init, socket, '127.0.0.1'));
    const client = AgentClient.connect(`unix:${socket}`, 'node', { ca: ca.cert, ...certificate });
    ends.push(() => client.raw.close());
    const command = ['node', '/usr/local/lib/agent/agent.mjs', '--node-name', 'node'];
    const endAgent = (): Promise<void> => node.restartService('agent', { down: true });
    let started = false;
    return {
      node,
      cri,
      shippedHandler: join(shipped, 'lpm-runtime'),
      info: () => client.call('getNodeInfo', {}),
      agent: async (states, ...flags) => {
        if (started) await endAgent();
        started = true;
        await node.startService('agent', [
          ...command,
          ...['--log-level', 'debug', '--restart-timeout', '20'],
          ...['--setup-node', '--node-files', '/usr/local/lib/agent/files'],
          ...flags,
        ]);
        await client.serving();
        return until(
          `the set-up is ${states.join(' or ')}`,
          async () => {
            const info = await client.call('getNodeInfo', {}).catch(() => undefined);
            return info && states.includes(info.setUp) ? info : undefined;
          },
          { timeoutMs: 60_000 },
        );
      },
      endAgent,
      uninstall: (...flags) =>
        node.exec([...command, '--uninstall-node', '--restart-timeout', '20', ...flags]),
      files: async () => {
        const found: Record<string, string> = {};
        const list = await must('find', ['etc/containerd', 'opt', '-mindepth', '1'], { cwd: node.path('/') });
        for (const path of list.split('\n').filter(Boolean).sort()) {
          try {
            found[path] = readFileSync(node.path(`/${path}`), 'utf8');
          } catch {
            found[path] = '(folder)';
          }
        }
        return found;
      },
      runtimePid: () => readFileSync(node.path('/run/lpm-node/containerd.pid'), 'utf8').trim(),
      agentLog: () => readFileSync(join(node.logDir, 'agent.log'), 'utf8'),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
