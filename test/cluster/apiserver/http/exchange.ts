/** One request and its answer. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { parse as parseYaml } from 'yaml';
import type { RequestContext, User } from '../resources/resource.js';
import { decodeProtobuf } from '../protobuf/decode.js';
import { badRequest, internalError, StatusError, unsupportedMediaType } from '../status-error.js';

const maxBodyBytes = 3 * 1024 * 1024;

export class Exchange {
  readonly url: URL;
  readonly warnings: string[] = [];

  constructor(
    readonly request: IncomingMessage,
    readonly response: ServerResponse,
    readonly user: User,
  ) {
    this.url = new URL(request.url ?? '/', 'https://localhost');
  }

  get method(): string {
    return this.request.method ?? 'GET';
  }

  get query(): URLSearchParams {
    return this.url.searchParams;
  }

  get accept(): string {
    return this.request.headers.accept ?? '';
  }

  get contentType(): string {
    return (this.request.headers['content-type'] ?? '').split(';')[0]!.trim().toLowerCase();
  }

  /** Who asks and how, as the verbs want to know it. */
  context(): RequestContext {
    const { query } = this;
    const dryRun = query.get('dryRun');
    if (dryRun !== null && dryRun !== 'All') {
      throw badRequest(`dryRun: Unsupported value: ${JSON.stringify(dryRun)}: supported values: "All"`);
    }
    const validation = query.get('fieldValidation') ?? 'Warn';
    if (validation !== 'Strict' && validation !== 'Warn' && validation !== 'Ignore') {
      throw badRequest(
        `fieldValidation: Unsupported value: ${JSON.stringify(validation)}: supported values: "Ignore", "Strict", "Warn"`,
      );
    }
    return {
      user: this.user,
      dryRun: dryRun === 'All',
      fieldManager:
        query.get('fieldManager') ?? (this.request.headers['user-agent'] ?? 'unknown').split('/')[0]!,
      fieldValidation: validation,
      warn: (text) => this.warnings.push(text),
    };
  }

  async readBody(): Promise<Buffer> {
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const chunk of this.request as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > maxBodyBytes) {
        throw new StatusError(
          413,
          'RequestEntityTooLarge',
          `Request entity too large: limit is ${maxBodyBytes}`,
        );
      }
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  }

  /** The body as a value, from JSON, YAML or protobuf. Undefined for an empty one. */
  async readObject(): Promise<unknown> {
    const type = this.contentType;
    const body = await this.readBody();
    if (body.length === 0) return undefined;
    if (type === 'application/vnd.kubernetes.protobuf') return decodeProtobuf(body);
    const isYaml = type.endsWith('yaml');
    if (type !== '' && !isYaml && !type.endsWith('json')) {
      throw unsupportedMediaType([
        'application/json',
        'application/yaml',
        'application/vnd.kubernetes.protobuf',
      ]);
    }
    try {
      const text = body.toString('utf8');
      return isYaml ? (parseYaml(text) as unknown) : (JSON.parse(text) as unknown);
    } catch (error) {
      throw badRequest(
        `error decoding the body: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`,
      );
    }
  }

  sendJson(code: number, json: string, contentType = 'application/json'): void {
    const { response } = this;
    const body = Buffer.from(json);
    response.statusCode = code;
    response.setHeader('Content-Type', contentType);
    response.setHeader('Content-Length', body.length);
    response.setHeader('Cache-Control', 'no-cache, private');
    for (const text of this.warnings) response.appendHeader('Warning', `299 - ${JSON.stringify(text)}`);
    response.end(body);
  }

  sendText(code: number, text: string): void {
    this.sendJson(code, text, 'text/plain; charset=utf-8');
  }

  sendError(error: unknown): void {
    const { response } = this;
    if (response.headersSent) {
      response.destroy();
      return;
    }
    const status =
      error instanceof StatusError
        ? error
        : internalError(error instanceof Error ? error.message : String(error));
    if (status.details?.retryAfterSeconds) {
      response.setHeader('Retry-After', status.details.retryAfterSeconds);
    }
    this.sendJson(status.code, JSON.stringify(status.toStatus()));
  }
}
