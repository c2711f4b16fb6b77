import { credentials, Client, Server, ServerCredentials } from '@grpc/grpc-js';
import assert from 'node:assert/strict';
import { connect, createServer, type Server as TcpServer, type Socket } from 'node:net';
import { after, before, beforeEach, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { AgentServiceService, GetNodeInfoResponse } from '../../proto/gen/lpm/v1/agent.js';
import { Agent } from './agent.js';
import { Connection } from './connection.js';

const PATIENCE_MS = 200;
const timeouts = { callMs: 300, workMs: 60_000, silenceMs: 60_000 };

let server: Server;
let way: TcpServer;
let address: string;
/** As long as it is, who connects hears nothing, and goes on hearing nothing afterwards. */
let isCut: boolean;
const open = new Set<Socket>();

before(async () => {
  server = new Server();
  server.addService(
    { getNodeInfo: AgentServiceService.getNodeInfo },
    {
      getNodeInfo: (_: unknown, answer: (error: null, value: GetNodeInfoResponse) => void) =>
        answer(null, GetNodeInfoResponse.fromPartial({ nodeName: 'a' })),
    },
  );
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
  way = createServer((socket) => {
    open.add(socket);
    socket.on('error', () => {}).on('close', () => open.delete(socket));
    if (isCut) return;
    const onward = connect(port, '127.0.0.1');
    onward.on('error', () => {}).on('close', () => socket.destroy());
    socket.on('close', () => onward.destroy());
    socket.pipe(onward).pipe(socket);
  });
  await new Promise<void>((resolve) => way.listen(0, '127.0.0.1', resolve));
  address = `127.0.0.1:${(way.address() as { port: number }).port}`;
});
after(() => {
  for (const socket of open) socket.destroy();
  way.close();
  server.forceShutdown();
});
beforeEach(() => {
  isCut = true;
});

const connection = () =>
  new Connection(
    () => new Client(address, credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 }),
    { patienceMs: PATIENCE_MS },
  );

test('an agent that could not be reached is reached at once when the network is well again', async () => {
  const it = connection();
  const agent = new Agent('a', address, it, timeouts);
  await assert.rejects(agent.getNodeInfo(), /The agent on node a cannot be reached at .*: it did not answer/);
  isCut = false;
  assert.equal((await agent.getNodeInfo()).nodeName, 'a');
  const { client } = it;
  await pause(2 * PATIENCE_MS);
  assert.equal(it.client, client, 'a connection that is there is kept');
  await it.close();
});

test('a call that may take long does not wait for its connection for as long', async () => {
  const it = connection();
  const agent = new Agent('a', address, it, timeouts);
  const pod = { namespace: 'default', name: 'counter', uid: 'u' };
  const begin = performance.now();
  await assert.rejects(agent.thaw(pod, 'c'), /it did not answer in time/);
  assert.ok(performance.now() - begin < 10_000);
  await it.close();
});
