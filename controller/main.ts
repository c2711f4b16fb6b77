/** The controller: a Deployment whose replicas agree on one that acts. Owns every decision; touches no node. */
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { LpmError, messageOf } from '../common/errors.js';
import { ApiError, ApiUnreachable } from '../common/kube/api-error.js';
import { backoffMs, pause } from '../common/kube/backoff.js';
import { KubeClient } from '../common/kube/client.js';
import { loadProgramConfig } from '../common/kube/config.js';
import { clientCredentials } from '../common/grpc/client-credentials.js';
import { electionTimes, parseFlags, retentionLimits } from './flags.js';
import { serveHealth } from './health.js';
import { startIdentity } from './identity/start.js';
import { LeaderElector } from './leader/elector.js';
import { soleLeader } from './leader/leadership.js';
import { Log } from './log.js';
import { Metrics } from './metrics.js';
import { requireCrds, runController } from './run.js';

declare const LPM_VERSION: string | undefined;
const version = typeof LPM_VERSION === 'string' ? LPM_VERSION : 'development';

/** Half of client-go's usual bound: a request that is lost is better asked again. */
const REQUEST_TIMEOUT_MS = 15_000;

/** Asks again while the API server cannot be reached: at the start of a cluster it may come after us. */
async function reachable<T>(log: Log, waitSeconds: number, ask: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + waitSeconds * 1000;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof ApiUnreachable) || Date.now() >= deadline) throw error;
      log.warn(`${error.message} It is asked again.`, { attempt });
      await pause(backoffMs(attempt, { initialMs: 500, maxMs: 5000 }));
    }
  }
}

async function main(): Promise<void> {
  const flags = parseFlags(process.argv.slice(2), version);
  const log = new Log(flags.logLevel);
  const config = loadProgramConfig(flags.kubeconfig);
  const times = electionTimes(flags);
  const electionClient = new KubeClient(config, {
    userAgent: `lpm-controller/${version} (leader election)`,
    // A renewal that is lost can be sent a second time before the time is over.
    timeoutMs: times.renewDeadlineMs / 2,
  });
  const elector = flags.leaderElect
    ? new LeaderElector({
        client: electionClient,
        namespace: flags.namespace,
        name: flags.leaderElectResourceName,
        identity: `${hostname()}_${randomUUID()}`,
        version,
        times,
        log,
      })
    : undefined;
  const leadership = elector ?? soleLeader();
  const client = new KubeClient(config, {
    userAgent: `lpm-controller/${version}`,
    timeoutMs: REQUEST_TIMEOUT_MS,
    beforeWrite: () => leadership.assertLeader(),
  });
  const identityClient = new KubeClient(config, {
    userAgent: `lpm-controller/${version} (identity)`,
    timeoutMs: REQUEST_TIMEOUT_MS,
  });
  const metrics = new Metrics();
  const identity = await reachable(log, flags.apiWaitSeconds, async () => {
    await requireCrds(client);
    return startIdentity({
      ...{ flags, leadership, log, metrics, namespace: flags.namespace },
      client: identityClient,
      leaderClient: client,
    });
  });
  const controller = runController({
    client,
    agentTls: clientCredentials(identity.source),
    metrics,
    agentPort: flags.agentPort,
    workers: flags.workers,
    log,
    agentTimeouts: {
      callMs: flags.agentCallSeconds * 1000,
      workMs: flags.agentWorkSeconds * 1000,
      silenceMs: flags.agentSilenceSeconds * 1000,
    },
    rejoinMs: flags.rejoinSeconds * 1000,
    namespace: flags.namespace,
    retention: retentionLimits(flags),
    leadership,
  });
  controller.metrics.gauge('lpm_controller_build_info', 'Which version runs here.', () => 1, { version });
  // Not one thing more is done, not even tidying up: the next leader may have begun. The kubelet starts us again.
  leadership.lost.addEventListener('abort', () => fail(leadership.lost.reason));
  const health = flags.healthListen
    ? await serveHealth(flags.healthListen, {
        ready: () => controller.ready,
        metrics: () => controller.metrics.text(),
      })
    : undefined;
  log.info(`Controller ${version} follows ${client.server}.`, { namespace: flags.namespace });

  /** Everything that is under way is let go before the next leader is let in. */
  const stopped = async () => {
    await controller.stop();
    await identity.stop();
    health?.close();
    client.close();
    identityClient.close();
    await elector?.release();
  };
  const stop = (signal: string) => {
    log.info(`Stopping on ${signal}; what the agents do goes on and is taken up by the next controller.`);
    // What cannot be written within this time is found again by the next controller.
    setTimeout(() => process.exit(0), 5000).unref();
    void stopped().finally(() => process.exit(0));
  };
  process.once('SIGTERM', () => stop('SIGTERM'));
  process.once('SIGINT', () => stop('SIGINT'));
  // Rejects when it cannot take part at all; else it goes on until the end.
  await elector?.run();
}

function fail(error: unknown): never {
  // One sentence and the next step; a stack would help nobody here.
  const hint = error instanceof LpmError ? error.hint : '';
  const known = error instanceof LpmError || error instanceof ApiError || error instanceof ApiUnreachable;
  process.stderr.write(`${known ? '' : 'Unexpected: '}${messageOf(error)}${hint ? ` ${hint}` : ''}\n`);
  process.exit(1);
}

main().catch(fail);
