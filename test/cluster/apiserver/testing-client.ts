/** What the tests of the server talk to it with: plain requests, watches line by line, and the real kubectl. */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { Agent, request } from 'node:https';
import { createInterface } from 'node:readline';
import type { IncomingMessage } from 'node:http';
import type { TestApiServer } from './testing.js';

/* eslint-disable @typescript-eslint/no-explicit-any -- answers of the API are read as they come */

export interface Answer {
  code: number;
  headers: IncomingMessage['headers'];
  text: string;
  /** The parsed body, when it is JSON. */
  body: any;
}

export interface WatchEvent {
  type: string;
  object: any;
}

export interface WatchStream {
  /** The next event; fails after ten seconds without one. */
  next(): Promise<WatchEvent>;
  /** Resolves when the server ends the stream. */
  ended: Promise<void>;
  close(): void;
}

const patience = 60_000;

export class TestClient {
  readonly #agent: Agent;

  constructor(readonly server: TestApiServer) {
    this.#agent = new Agent({ keepAlive: true, ca: server.pki.ca.cert, ...server.pki.admin });
  }

  close(): void {
    this.#agent.destroy();
  }

  async request(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    const response = await this.#open(method, path, body, headers);
    const chunks: Buffer[] = [];
    for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString();
    const isJson = (response.headers['content-type'] ?? '').startsWith('application/json');
    return {
      code: response.statusCode ?? 0,
      headers: response.headers,
      text,
      body: isJson && text !== '' ? JSON.parse(text) : undefined,
    };
  }

  get(path: string, headers?: Record<string, string>): Promise<Answer> {
    return this.request('GET', path, undefined, headers);
  }

  post(path: string, body: unknown): Promise<Answer> {
    return this.request('POST', path, body);
  }

  put(path: string, body: unknown): Promise<Answer> {
    return this.request('PUT', path, body);
  }

  /** A patch of the given kind: json, merge, strategic-merge, or apply. */
  patch(path: string, kind: 'json' | 'merge' | 'strategic-merge' | 'apply', body: unknown): Promise<Answer> {
    const type = kind === 'apply' ? 'application/apply-patch+yaml' : `application/${kind}-patch+json`;
    return this.request('PATCH', path, body, { 'content-type': type });
  }

  delete(path: string, options?: unknown): Promise<Answer> {
    return this.request('DELETE', path, options);
  }

  async watch(path: string, headers: Record<string, string> = {}): Promise<WatchStream> {
    const response = await this.#open('GET', path, undefined, headers);
    if (response.statusCode !== 200) throw new Error(`the watch was refused with ${response.statusCode}`);
    const events: WatchEvent[] = [];
    let wake: () => void = () => undefined;
    const lines = createInterface({ input: response });
    lines.on('line', (line) => {
      events.push(JSON.parse(line));
      wake();
    });
    response.on('error', () => undefined);
    return {
      ended: new Promise((resolve) => response.once('close', () => resolve())),
      close: () => response.destroy(),
      async next() {
        const deadline = Date.now() + patience;
        while (events.length === 0) {
          const left = deadline - Date.now();
          if (left <= 0) throw new Error(`no event within ${patience / 1000} s`);
          await new Promise<void>((resolve) => {
            const timer = setTimeout(resolve, left);
            wake = () => {
              clearTimeout(timer);
              resolve();
            };
          });
        }
        return events.shift()!;
      },
    };
  }

  #open(
    method: string,
    path: string,
    body: unknown,
    headers: Record<string, string>,
  ): Promise<IncomingMessage> {
    const text = body === undefined ? '' : JSON.stringify(body);
    // Node.js sends the body of a DELETE only when its length is said.
    const length = { 'content-length': String(Buffer.byteLength(text)) };
    return new Promise((resolve, reject) => {
      const outgoing = request(
        this.server.url + path,
        {
          method,
          agent: this.#agent,
          headers: { 'content-type': 'application/json', ...length, ...headers },
        },
        resolve,
      );
      outgoing.once('error', reject);
      outgoing.end(text);
    });
  }
}

export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

/** The kubectls to test with: those that KUBECTLS names (separated by colons), else the one in PATH. */
export const kubectls: string[] = (process.env['KUBECTLS'] ?? 'kubectl').split(':');

/** Runs kubectl to its end; `input` is its standard input. */
export function runKubectl(
  program: string,
  server: TestApiServer,
  args: string[],
  input?: string,
): Promise<Ran> {
  return new Promise((resolve) => {
    const child = execFile(
      program,
      args,
      { env: kubectlEnvironment(server), timeout: 30_000, maxBuffer: 16 * 1024 * 1024 },
      (error, stdout, stderr) =>
        resolve({ code: error ? (typeof error.code === 'number' ? error.code : -1) : 0, stdout, stderr }),
    );
    child.stdin?.end(input ?? '');
  });
}

/** Starts kubectl for a test that talks to it while it runs. */
export function startKubectl(program: string, server: TestApiServer, args: string[]): ChildProcess {
  return spawn(program, args, { env: kubectlEnvironment(server), stdio: 'pipe' });
}

function kubectlEnvironment(server: TestApiServer): NodeJS.ProcessEnv {
  return { ...process.env, KUBECONFIG: server.kubeconfig, KUBECACHEDIR: `${server.kubeconfig}.cache` };
}

/** Asks until the answer is what is wanted; fails after ten seconds. */
export async function eventually<T>(ask: () => Promise<T> | T, wanted: (answer: T) => boolean): Promise<T> {
  const deadline = Date.now() + patience;
  for (;;) {
    const answer = await ask();
    if (wanted(answer)) return answer;
    if (Date.now() > deadline)
      throw new Error(`still not so after ${patience / 1000} s: ${JSON.stringify(answer)}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

export const pods = '/api/v1/namespaces/default/pods';

/** The least that a pod needs. */
export function podNamed(name: string, more: { metadata?: object; spec?: object } = {}): any {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, ...more.metadata },
    spec: { containers: [{ name: 'main', image: 'busybox:1.35' }], ...more.spec },
  };
}

/** A node that is ready and whose kubelet listens at the given port. */
export function readyNode(name: string, more: { port?: number; metadata?: object; spec?: object } = {}): any {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels: { 'kubernetes.io/hostname': name }, ...more.metadata },
    spec: { ...more.spec },
    status: {
      addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
      allocatable: { cpu: '2', memory: '4Gi', pods: '110' },
      capacity: { cpu: '2', memory: '4Gi', pods: '110' },
      conditions: [
        { type: 'Ready', status: 'True', reason: 'KubeletReady', lastTransitionTime: '2026-01-01T00:00:00Z' },
      ],
      daemonEndpoints: { kubeletEndpoint: { Port: more.port ?? 10250 } },
      nodeInfo: {
        kubeletVersion: 'v1.33.0',
        osImage: 'Debian',
        kernelVersion: '6.18',
        containerRuntimeVersion: 'containerd://2.1',
      },
    },
  };
}
