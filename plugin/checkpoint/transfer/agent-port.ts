/** HTTP with the transfer port of an agent, through a port-forward: one request for each connection. */
import { request, type IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { KubeClient } from '../../../common/kube/client.js';
import { CliError } from '../../cli-error.js';
import { portForward, type Place } from '../../port-forward.js';
import { printable } from '../../text/printable.js';

/** What the agent tells of an archive before it is read. */
export interface About {
  sha256: string;
  bytes: number;
  manifest: { pod?: { namespace?: string; name?: string; uid?: string }; podJson?: string } | null;
}

/** Small answers are not larger than a pod object and a little. */
const MOST_BYTES = 4 * 1024 * 1024;

export class AgentPort {
  constructor(
    private readonly client: KubeClient,
    private readonly place: Place,
    private readonly uid: string,
    private readonly ticket: string,
    private readonly signal: AbortSignal,
  ) {}

  async about(container: string): Promise<About> {
    const response = await this.#ask('GET', `${container}/about`);
    return JSON.parse(await textOf(response)) as About;
  }

  /** The archive as it lies there. */
  read(container: string): Promise<IncomingMessage> {
    return this.#ask('GET', container);
  }

  async write(container: string, bytes: number, body: Readable): Promise<void> {
    await textOf(await this.#ask('PUT', container, { bytes, body }));
  }

  async #ask(
    method: string,
    path: string,
    upload?: { bytes: number; body: Readable },
  ): Promise<IncomingMessage> {
    const channel = await portForward(this.client, this.place, this.signal);
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const call = request({
        method,
        path: `/transfers/${this.uid}/${path}`,
        createConnection: () => channel,
        headers: {
          host: 'agent',
          authorization: `Bearer ${this.ticket}`,
          connection: 'close',
          // It may refuse before gigabytes are sent.
          ...(upload ? { 'content-length': upload.bytes, expect: '100-continue' } : {}),
        },
      });
      call.once('response', resolve);
      call.once('error', reject);
      channel.once('error', reject);
      if (!upload) call.end();
      else {
        call.once('continue', () => {
          // That the other end stopped reading is told better by its answer, if there is one.
          pipeline(upload.body, call).catch(reject);
        });
        call.flushHeaders();
      }
    });
    if (response.statusCode === 200) return response;
    const said = printable((await textOf(response)).trim());
    channel.destroy();
    throw new CliError(`The agent refuses: ${said || `HTTP status ${response.statusCode}`}`);
  }
}

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MOST_BYTES) throw new CliError('The agent answers more than it should.');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
