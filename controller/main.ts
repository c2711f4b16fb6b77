/** The controller: a Deployment of one replica. Owns every decision; touches no node. */
import { LpmError, messageOf } from '../common/errors.js';
import { ApiError, ApiUnreachable } from '../common/kube/api-error.js';
import { KubeClient } from '../common/kube/client.js';
import { loadProgramConfig } from '../common/kube/config.js';
import { agentCredentials } from './agents/pool.js';
import { parseFlags } from './flags.js';
import { serveHealth } from './health.js';
import { Log } from './log.js';
import { requireCrds, runController } from './run.js';

declare const LPM_VERSION: string | undefined;
const version = typeof LPM_VERSION === 'string' ? LPM_VERSION : 'development';

async function main(): Promise<void> {
  const flags = parseFlags(process.argv.slice(2), version);
  const log = new Log(flags.logLevel);
  if (flags.leaderElection) {
    throw new LpmError('NotSupportedYet', 'Leader election is not built yet.', {
      hint: 'Run one replica, without --leader-election.',
    });
  }
  const client = new KubeClient(loadProgramConfig(flags.kubeconfig), {
    userAgent: `lpm-controller/${version}`,
  });
  const agentTls = await agentCredentials(flags.tlsDir);
  await requireCrds(client);
  const controller = runController({
    client,
    agentTls,
    agentPort: flags.agentPort,
    workers: flags.workers,
    log,
  });
  const health = flags.healthListen
    ? await serveHealth(flags.healthListen, {
        ready: () => controller.ready,
        metrics: () => controller.metrics.text(),
      })
    : undefined;
  log.info(`Controller ${version} follows ${client.server}.`, { namespace: flags.namespace });

  const stop = (signal: string) => {
    log.info(`Stopping on ${signal}; what the agents do goes on and is taken up by the next controller.`);
    // What cannot be written within this time is found again by the next controller.
    setTimeout(() => process.exit(0), 5000).unref();
    void controller.stop().finally(() => {
      health?.close();
      client.close();
      process.exit(0);
    });
  };
  process.once('SIGTERM', () => stop('SIGTERM'));
  process.once('SIGINT', () => stop('SIGINT'));
}

main().catch((error: unknown) => {
  // One sentence and the next step; a stack would help nobody here.
  const hint = error instanceof LpmError ? error.hint : '';
  const known = error instanceof LpmError || error instanceof ApiError || error instanceof ApiUnreachable;
  process.stderr.write(`${known ? '' : 'Unexpected: '}${messageOf(error)}${hint ? ` ${hint}` : ''}\n`);
  process.exit(1);
});
