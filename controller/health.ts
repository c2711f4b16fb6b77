/** Plain HTTP for the kubelet and Prometheus: /healthz, /readyz, /metrics. */
import { createServer, type Server } from 'node:http';
import { LpmError, messageOf } from '../common/errors.js';

export interface HealthSource {
  ready: () => boolean;
  metrics: () => string;
}

/** Listens on "address:port". Rejects with LpmError when it cannot. */
export async function serveHealth(listen: string, source: HealthSource): Promise<Server> {
  const colon = listen.lastIndexOf(':');
  const host = listen.slice(0, colon).replace(/^\[|\]$/g, '');
  const port = Number(listen.slice(colon + 1));
  if (colon < 0 || !Number.isInteger(port)) {
    throw new LpmError('InvalidArgument', `--health-listen ${listen} is not an address and a port.`, {
      hint: 'Give it as in 0.0.0.0:8081.',
    });
  }
  const server = createServer((request, response) => {
    const answer = (code: number, text: string) => {
      response.writeHead(code, { 'Content-Type': 'text/plain; charset=utf-8' });
      response.end(text);
    };
    switch (request.url?.split('?')[0]) {
      case '/healthz':
        return answer(200, 'ok\n');
      case '/readyz':
        return source.ready() ? answer(200, 'ok\n') : answer(503, 'the caches are not filled yet\n');
      case '/metrics':
        return answer(200, source.metrics());
      default:
        return answer(404, 'there are /healthz, /readyz and /metrics\n');
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) =>
      reject(
        new LpmError('InvalidArgument', `Cannot listen on ${listen}: ${messageOf(error)}.`, {
          hint: 'Choose another address with --health-listen.',
          cause: error,
        }),
      ),
    );
    server.listen(port, host || undefined, resolve);
  });
  return server;
}
