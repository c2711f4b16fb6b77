import type { AddressInfo } from 'node:net';
import type { Server as HttpServer } from 'node:http';
import { X509Certificate } from 'node:crypto';
import { Server } from '@grpc/grpc-js';
import { messageOf } from '../common/errors.js';
import { clientCredentials } from '../common/grpc/client-credentials.js';
import { TlsListener } from '../common/grpc/tls-listener.js';
import type { IdentitySource } from '../common/identity/identity.js';
import { endOf } from '../common/identity/times.js';
import { HealthService } from '../proto/gen/grpc/health/v1/health.js';
import { AgentServiceService } from '../proto/gen/lpm/v1/agent.js';
import { archiveCounts, recoverArchives, removeForgottenArchives } from './archives/recover.js';
import { archiveStore } from './archives/transfer-store.js';
import { knownCheckpoints } from './artifacts.js';
import { Checkpoints } from './checkpoint.js';
import type { Context } from './context.js';
import { Ending } from './ending.js';
import { removeForgottenMarks, removeForgottenPods, removeOldThawedMarks } from './discard.js';
import { healthHttpServer, healthService } from './health.js';
import { removeOldLogs } from './kept-logs.js';
import { frozenPods, restoreHoldings } from './holdings.js';
import { recoverCheckpoints } from './recover.js';
import { letGoCommitted } from './release.js';
import { Restores } from './restore.js';
import { agentService } from './service.js';
import { transferPort } from './transfer-port/server.js';
import { Transfers } from './transfer-port/transfers.js';
import { whatIsUnfinished } from './unfinished.js';

export interface RunningAgent {
  /** Ports that were bound, for callers that asked for port 0. */
  port: number;
  healthPort: number;
  transferPort: number;
  /** Serves until what is under way on the node has come to its end, within limits, then takes no more calls and ends. */
  stop(): Promise<void>;
}

const FORGET_EVERY_MS = 3600_000;
/** Calls that only wait (a restore, an end of a source) are cut after this long at the end of the agent. */
const DRAIN_MS = 2000;

/** Where the agent listens, each "address:port". */
export interface Addresses {
  listen: string;
  healthListen: string;
  /** The way here is the API server's port-forward: the loopback address of the agent's pod. */
  transferListen: string;
}

/** Starts the agent's servers. */
export async function startAgent(
  context: Context,
  identity: IdentitySource,
  { listen, healthListen, transferListen }: Addresses,
): Promise<RunningAgent> {
  // First what stands still for it.
  await letGoCommitted(context);
  await recoverCheckpoints(context);
  await recoverArchives(context);
  const ending = new Ending();
  const checkpoints = new Checkpoints(context, () => ending.pass());
  const restores = new Restores(context, clientCredentials(identity));
  const store = archiveStore(context);
  const transfers = new Transfers((uid) => {
    store.drop(uid).catch((error: unknown) => context.log.warn('half an import stays for now', { error }));
  });
  context.metrics.gauge('lpm_agent_operations_in_progress', () => inProgress());
  const frozenContainers = async (): Promise<number> =>
    (await frozenPods(context)).reduce((sum, { containerNames }) => sum + containerNames.length, 0);
  context.metrics.gauge(`lpm_agent_build_info{version="${context.version}"}`, () => 1);
  context.metrics.gauge('lpm_agent_frozen_containers', frozenContainers);
  context.metrics.gauge('lpm_agent_checkpoints', () => knownCheckpoints(context.state).length);
  context.metrics.gauge(
    'lpm_agent_restores_staged',
    async () => (await restoreHoldings(context)).filter(({ staged }) => staged).length,
  );
  context.metrics.gauge('lpm_agent_archives', () => archiveCounts(context).archives);
  context.metrics.gauge('lpm_agent_archive_bytes', () => archiveCounts(context).bytes);
  context.metrics.gauge('lpm_agent_repository_free_bytes', async () => {
    const { shared, freeBytes } = await context.archives.repository.state();
    return shared ? Number(freeBytes) : NaN;
  });
  context.metrics.gauge('lpm_agent_certificate_expiry_seconds', () =>
    identity.current ? endOf(new X509Certificate(identity.current.cert)) / 1000 : NaN,
  );
  const inProgress = (): number => checkpoints.inProgress + restores.inProgress;
  const readiness = async (): Promise<string> => {
    if (ending.begun) return 'The agent is being ended.';
    const { state, message } = context.keeper.status;
    if (state === 'working') return message;
    return context.cri.version().then(
      () => identity.problem,
      (error: unknown) => messageOf(error),
    );
  };

  const server = new Server({
    // A pod object takes up to a mebibyte of a request.
    'grpc.max_receive_message_length': 2 << 20,
    'grpc.keepalive_time_ms': 30_000,
    'grpc.keepalive_timeout_ms': 10_000,
  });
  server.addService(
    AgentServiceService,
    agentService(context, { checkpoints, restores, transfers, store, ending }),
  );
  server.addService(HealthService, healthService(readiness));
  const listener = new TlsListener(server, identity);
  context.metrics.gauge('lpm_agent_handshakes', () => listener.handshakes);
  const port = await listener.listen(listen);
  const http = healthHttpServer({ readiness, metrics: context.metrics });
  const healthPort = await listenHttp(http, healthListen);
  const transferServer = transferPort({ transfers, store, log: context.log });
  const transfersAt = await listenHttp(transferServer, transferListen);
  const forget = (): void => {
    Promise.all([
      removeForgottenPods(context),
      removeForgottenMarks(context),
      removeOldThawedMarks(context),
      removeOldLogs(context.state),
      removeForgottenArchives(context, (uid) => checkpoints.isRunning(uid)),
    ]).catch((error: unknown) => context.log.warn('cannot look for marks of pods that are gone', { error }));
  };
  const timer = setInterval(forget, FORGET_EVERY_MS);
  timer.unref();
  // What stood still runs by now, and what is asked for meanwhile is answered.
  context.keeper
    .start(inProgress)
    .catch((error: unknown) => context.log.error('the set-up of the node broke off', { error }));
  context.log.info('serving', {
    listen,
    port,
    health_port: healthPort,
    transfer_port: transfersAt,
    node: context.nodeName,
  });

  return {
    port,
    healthPort,
    transferPort: transfersAt,
    stop: async () => {
      clearInterval(timer);
      await Promise.all([
        ending.lastWork(() => whatIsUnfinished(context, inProgress()), context.log),
        context.keeper.stop(),
      ]);
      http.close();
      listener.close();
      identity.close();
      transfers.close();
      transferServer.close();
      const closed = new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
      // A checkpoint in progress is finished: half of one is worth nothing, and its source must not stay frozen for nothing.
      await checkpoints.settle();
      // A restore is no work of this process but of the handler and of what lies on disk; a new agent joins it.
      const cut = setTimeout(() => server.forceShutdown(), DRAIN_MS);
      await closed;
      clearTimeout(cut);
      context.archives.repository.close();
      context.cri.close();
    },
  };
}

function listenHttp(http: HttpServer, address: string): Promise<number> {
  const colon = address.lastIndexOf(':');
  return new Promise((resolve, reject) => {
    http.once('error', reject);
    http.listen(Number(address.slice(colon + 1)), address.slice(0, colon), () =>
      resolve((http.address() as AddressInfo).port),
    );
  });
}
