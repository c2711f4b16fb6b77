/**
 * The kubelet's checkpoint API (https://kubernetes.io/docs/reference/node/kubelet-checkpoint-api/): POST
 * /checkpoint/NAMESPACE/POD/CONTAINER, with the status codes, words and file names of kubernetes pkg/kubelet/server.
 */
import { mkdirSync, readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { status as grpcStatus } from '@grpc/grpc-js';
import { KUBELET_CHECKPOINTS } from '../../../common/api/names.js';
import { messageOf } from '../../../common/errors.js';
import type { Cri } from '../cri.js';
import { HttpError } from './http-error.js';
import { isRunning, observePod, runsOf } from './observed.js';
import { namespaceOf, specOf, uidOf, type Pod } from './pod.js';

/** The kubelet's least patience with its runtime, seconds; ?timeout= only raises it. */
const leastTimeout = 120;

/**
 * Tests write a word into this file of the node to make the API behave as it may in other clusters, for as long as it is there:
 * `off` (feature gate off, or an old kubelet), `forbidden`, `fail WORDS` (the runtime's words), `hang` (before it does anything),
 * `hold` (when it has done everything).
 */
export const checkpointSwitch = '/run/lpm-kubelet-checkpoint';

function readSwitch(): { word: string; rest: string } {
  let text = '';
  try {
    text = readFileSync(checkpointSwitch, 'utf8').trim();
  } catch {
    // Nobody wants it to behave otherwise.
  }
  const [word = '', ...rest] = text.split(' ');
  return { word, rest: rest.join(' ') };
}

export async function checkpoint(
  { cri, findPod }: { cri: Cri; findPod(namespace: string, name: string): Pod | undefined },
  [namespace = '', name = '', container = '']: string[],
  query: URLSearchParams,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { word, rest } = readSwitch();
  if (word === 'off' || container === '') throw new HttpError(404, '404 page not found');
  if (word === 'forbidden') {
    throw new HttpError(
      403,
      'Forbidden (user=system:serviceaccount:test:test, verb=create, resource=nodes, subresource(s)=[checkpoint])',
    );
  }
  if (request.method !== 'POST') throw new HttpError(405, '405: Method Not Allowed');
  const pod = findPod(namespace, name);
  if (!pod) throw new HttpError(404, 'pod does not exist');
  const { containers, initContainers = [] } = specOf(pod);
  if (![...containers, ...initContainers].some((each) => each.name === container)) {
    throw new HttpError(404, `container ${container} does not exist`);
  }
  const timeout = timeoutOf(query);
  const failed = (why: string): HttpError =>
    new HttpError(500, `checkpointing of ${namespace}/${name}/${container} failed (${why})`);
  if (word === 'fail') throw failed(rest);
  /** Until the switch is turned again, or the client goes. */
  const stand = async (): Promise<void> => {
    while (readSwitch().word === word && !response.destroyed) await delay(50);
  };
  if (word === 'hang') await stand();
  const run = runsOf(await observePod(cri, uidOf(pod)), container).find(isRunning);
  if (!run) throw failed(`container ${container} not found`);
  mkdirSync(KUBELET_CHECKPOINTS, { recursive: true, mode: 0o700 });
  const location = join(KUBELET_CHECKPOINTS, fileName(pod, container, new Date()));
  const gone = new AbortController();
  response.on('close', () => gone.abort());
  try {
    await cri.runtime.checkpointContainer(
      { containerId: run.id, location, timeout: BigInt(timeout) },
      Math.max(timeout, leastTimeout) * 1000,
      gone.signal,
    );
  } catch (error) {
    throw failed(inGo(error));
  }
  if (word === 'hold') await stand();
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ items: [location] }));
}

/** The last of several counts. */
function timeoutOf(query: URLSearchParams): number {
  const text = query.getAll('timeout').at(-1);
  if (text === undefined) return 0;
  if (!/^[+-]?\d+$/.test(text)) throw new HttpError(404, 'cannot parse value of timeout parameter');
  return Math.max(0, Number(text));
}

/** One second of resolution, in the node's time zone, which is UTC here. */
const fileName = (pod: Pod, container: string, time: Date): string =>
  `checkpoint-${pod.metadata.name}_${namespaceOf(pod)}-${container}-${time.toISOString().slice(0, 19)}Z.tar`;

/** A gRPC error as Go's status.Error prints itself. */
function inGo(error: unknown): string {
  const { code, details } = error as { code?: number; details?: string };
  if (code === undefined) return messageOf(error);
  const name = Object.entries(grpcStatus).find(([, value]) => value === code)?.[0] ?? 'UNKNOWN';
  const camel = name
    .toLowerCase()
    .split('_')
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join('');
  return `rpc error: code = ${camel} desc = ${details ?? ''}`;
}
