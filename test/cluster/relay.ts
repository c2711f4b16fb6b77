/**
 * Joins two places byte for byte, each a unix socket or a TCP port. It is the way from kubectl on the machine into the
 * cluster's network namespace: unix sockets do not care about network namespaces.
 *
 *   relay.mjs --from tcp:HOST:PORT --to unix:PATH
 */
import { rmSync } from 'node:fs';
import { connect, createServer, type NetConnectOpts } from 'node:net';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: { from: { type: 'string', default: '' }, to: { type: 'string', default: '' } },
});

/** @throws for what is no place. */
function place(text: string): { path: string } | { host: string; port: number } {
  const [, path] = /^unix:(.+)$/.exec(text) ?? [];
  if (path) return { path };
  const [, host, port] = /^tcp:(.+):(\d+)$/.exec(text) ?? [];
  if (!host) throw new Error(`"${text}" is neither unix:PATH nor tcp:HOST:PORT`);
  return { host, port: Number(port) };
}

const from = place(values.from);
const to: NetConnectOpts = place(values.to);

const server = createServer((client) => {
  const upstream = connect(to);
  client.setNoDelay(true);
  upstream.setNoDelay(true);
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
  console.error(`cannot listen on ${values.from}: ${error.message}`);
  process.exit(1);
});
// An earlier one may have left its socket behind.
if ('path' in from) rmSync(from.path, { force: true });
server.listen(from, () => console.log(`${values.from} → ${values.to}`));
