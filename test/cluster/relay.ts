/**
 * Joins a port of this machine's loopback device with a unix socket, byte for byte: the way from kubectl on the
 * machine to the API server in the cluster's network namespace (unix sockets do not care about network namespaces).
 *
 *   relay.mjs --port P --socket PATH
 */
import { connect, createServer } from 'node:net';
import { parseArgs } from 'node:util';

const { values } = parseArgs({ options: { port: { type: 'string' }, socket: { type: 'string' } } });

const server = createServer((client) => {
  const upstream = connect(values.socket ?? '');
  client.setNoDelay(true);
  client.pipe(upstream);
  upstream.pipe(client);
  for (const [one, other] of [
    [client, upstream],
    [upstream, client],
  ] as const) {
    one.on('error', () => other.destroy());
    one.on('close', () => other.destroy());
  }
});
server.on('error', (error) => {
  console.error(`cannot listen on 127.0.0.1:${values.port}: ${error.message}`);
  process.exit(1);
});
server.listen(Number(values.port), '127.0.0.1', () =>
  console.log(`127.0.0.1:${values.port} → ${values.socket}`),
);
