import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import type { Cri } from '../../cri.js';
import type { ContainerSpec } from '../pod.js';
import type { Probe, ProbeOutcome } from './decision.js';

/** The container that is probed. */
export interface ProbeTarget {
  container: ContainerSpec;
  containerId: string;
  podIp: string;
}

/** An attempt that could not be made is repeated at once so often. */
const attempts = 3;
const maxOutputBytes = 10 * 1024;

/** Asks the container once, as its probe says. Never throws. */
export async function attempt(cri: Cri, probe: Probe, target: ProbeTarget): Promise<ProbeOutcome> {
  let outcome: ProbeOutcome = { result: 'unknown', output: '' };
  for (let i = 0; i < attempts && outcome.result === 'unknown'; i++) outcome = await once(cri, probe, target);
  return outcome;
}

async function once(cri: Cri, probe: Probe, target: ProbeTarget): Promise<ProbeOutcome> {
  const seconds = probe.timeoutSeconds ?? 1;
  if (probe.exec) return exec(cri, target.containerId, probe.exec.command ?? [], seconds);
  if (probe.httpGet) return httpGet(target, probe.httpGet, seconds * 1000);
  if (probe.tcpSocket) {
    const port = portNumber(target.container, probe.tcpSocket.port);
    if (port === undefined) return unresolved(probe.tcpSocket.port);
    return tcp(probe.tcpSocket.host || target.podIp, port, seconds);
  }
  return { result: 'unknown', output: 'gRPC probes are not supported by the local cluster' };
}

async function exec(
  cri: Cri,
  containerId: string,
  command: readonly string[],
  seconds: number,
): Promise<ProbeOutcome> {
  try {
    const { exitCode, stdout, stderr } = await cri.runtime.execSync(
      { containerId, cmd: [...command], timeout: BigInt(seconds) },
      seconds * 1000 + 120_000,
    );
    const output = Buffer.concat([stdout, stderr]).subarray(0, maxOutputBytes).toString('utf8');
    return { result: exitCode === 0 ? 'success' : 'failure', output };
  } catch (error) {
    const { code, details } = error as { code?: number; details?: string };
    // gRPC code 4, DeadlineExceeded: the command was slow, which counts against the container. Everything else, as
    // "cannot exec in a paused container", is the runtime's trouble.
    if (code === 4) {
      return {
        result: 'failure',
        output: `command timed out: "${command.join(' ')}" timed out after ${seconds}s`,
      };
    }
    return { result: 'unknown', output: `rpc error: code = Unknown desc = ${details ?? String(error)}` };
  }
}

const unresolved = (port: number | string): ProbeOutcome => ({
  result: 'unknown',
  output: `couldn't find port: ${port}`,
});

/** A port by number or by its name among the container's ports. */
export function portNumber(container: ContainerSpec, port: number | string): number | undefined {
  if (typeof port === 'number') return port;
  if (/^\d+$/.test(port)) return Number(port);
  return (container.ports ?? []).find(({ name }) => name === port)?.containerPort;
}

type HttpGet = NonNullable<Probe['httpGet']>;

/** GET as the kubelet does it, also for hooks: any certificate is taken, redirects within the host are followed. */
export async function httpGet(
  target: Pick<ProbeTarget, 'container' | 'podIp'>,
  action: HttpGet,
  timeoutMs: number,
): Promise<ProbeOutcome> {
  const port = portNumber(target.container, action.port);
  if (port === undefined) return unresolved(action.port);
  const scheme = (action.scheme ?? 'HTTP').toLowerCase();
  const headers: Record<string, string> = { 'user-agent': 'kube-probe/1.36', accept: '*/*' };
  for (const { name, value } of action.httpHeaders ?? []) headers[name.toLowerCase()] = value;
  const path = action.path ?? '/';
  const first = `${scheme}://${action.host || target.podIp}:${port}${path.startsWith('/') ? '' : '/'}${path}`;
  const deadline = AbortSignal.timeout(timeoutMs);
  let url = new URL(first);
  for (let redirects = 0; redirects < 10; redirects++) {
    const answer = await get(url, headers, deadline).catch((error: unknown) => error as Error);
    if (answer instanceof Error) {
      const why = deadline.aborted
        ? 'context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
        : dialError(url.hostname, port, answer);
      return { result: 'failure', output: `Get "${first}": ${why}` };
    }
    if (answer.status >= 300 && answer.status < 400 && answer.location) {
      const next = new URL(answer.location, url);
      // A redirect to somewhere else counts as a success, with a warning: nothing is known of there.
      if (next.hostname !== url.hostname) return { result: 'success', output: answer.body };
      url = next;
      continue;
    }
    return answer.status >= 200 && answer.status < 400
      ? { result: 'success', output: answer.body }
      : { result: 'failure', output: `HTTP probe failed with statuscode: ${answer.status}` };
  }
  return { result: 'failure', output: `Get "${first}": stopped after 10 redirects` };
}

function get(
  url: URL,
  headers: Record<string, string>,
  signal: AbortSignal,
): Promise<{ status: number; location: string | undefined; body: string }> {
  return new Promise((resolve, reject) => {
    const options = { headers, signal, agent: false as const, rejectUnauthorized: false };
    const request = (url.protocol === 'https:' ? httpsRequest : httpRequest)(url, options, (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        if (bytes < maxOutputBytes) chunks.push(chunk);
        bytes += chunk.length;
      });
      response.on('error', reject);
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          location: response.headers.location,
          body: Buffer.concat(chunks).toString('utf8'),
        }),
      );
    });
    request.on('error', reject);
    request.end();
  });
}

const dialError = (host: string, port: number, error: Error): string => {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ECONNREFUSED':
      return `dial tcp ${host}:${port}: connect: connection refused`;
    case 'EHOSTUNREACH':
      return `dial tcp ${host}:${port}: connect: no route to host`;
    case 'ECONNRESET':
      return 'EOF';
    default:
      return error.message;
  }
};

function tcp(host: string, port: number, seconds: number): Promise<ProbeOutcome> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (outcome: ProbeOutcome): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(outcome);
    };
    const timer = setTimeout(
      () => end({ result: 'failure', output: `dial tcp ${host}:${port}: i/o timeout` }),
      seconds * 1000,
    );
    socket.on('connect', () => end({ result: 'success', output: '' }));
    socket.on('error', (error) => end({ result: 'failure', output: dialError(host, port, error) }));
  });
}
