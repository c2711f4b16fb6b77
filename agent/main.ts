import { hostname } from 'node:os';
import { existsSync } from 'node:fs';
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { AGENT_PORT, CHECKPOINT_REPOSITORY, TRANSFER_PORT } from '../common/api/names.js';
import { LpmError, messageOf } from '../common/errors.js';
import { Repository } from './archives/repository.js';
import { SHARING_MODES } from './archives/sharing.js';
import { serveRepository, WORKER_COMMAND } from './archives/worker.js';
import type { Context } from './context.js';
import { Cri } from './cri.js';
import { Host } from './host.js';
import { identityFlags, startIdentity } from './identity/start.js';
import { kubeletFlags, kubeletOptions } from './kubelet/options.js';
import { createLogger, LEVELS } from './log.js';
import { Metrics } from './metrics.js';
import { NodeKeeper } from './node-setup/keeper.js';
import { setUpFlags } from './node-setup/options.js';
import { uninstall } from './node-setup/uninstall-command.js';
import { takeBackUnfinished } from './node-setup/change-runtime.js';
import { SetUpState } from './node-setup/record.js';
import { keepNode, runtimeTools, type SetUpOptions } from './node-setup/wire.js';
import { DEFAULT_RUNTIME_ROOTS } from './oci.js';
import { startAgent } from './server.js';
import { StateDir } from './state.js';

declare const LPM_VERSION: string | undefined;
const version = typeof LPM_VERSION === 'string' ? LPM_VERSION : '0.0.0-dev';

/** Where the container runtimes of the kubelet listen (k3s and RKE2, k0s, MicroK8s have their own), in the order in which they are tried. */
const CRI_SOCKETS = [
  '/run/k3s/containerd/containerd.sock',
  '/run/k0s/containerd.sock',
  '/var/snap/microk8s/common/run/containerd.sock',
  '/run/containerd/containerd.sock',
  '/run/crio/crio.sock',
];

const flags = yargs(hideBin(process.argv))
  .scriptName('checkpoint-agent')
  .usage('$0\n\nCheckpoints and restores the pods of one node, as the controller asks.')
  .options({
    'node-name': {
      type: 'string',
      default: process.env.NODE_NAME ?? hostname(),
      describe: 'name of this node',
    },
    listen: { type: 'string', default: `0.0.0.0:${AGENT_PORT}`, describe: 'address of the gRPC service' },
    'health-listen': {
      type: 'string',
      default: `0.0.0.0:${AGENT_PORT + 1}`,
      describe: 'address for /healthz, /readyz and /metrics (plain HTTP)',
    },
    'transfer-listen': {
      type: 'string',
      default: `127.0.0.1:${TRANSFER_PORT}`,
      describe: 'address for exports and imports of archives (plain HTTP, reached by port-forward)',
    },
    ...identityFlags,
    'cri-socket': {
      type: 'string',
      describe: "the container runtime's socket (default: the first that exists)",
    },
    'state-dir': { type: 'string', default: '/var/lib/lpm', describe: 'folder for artifacts and marks' },
    'handler-path': {
      type: 'string',
      default: '/opt/lpm/bin/lpm-runtime',
      describe: "the runtime handler's script on the node",
    },
    'runtime-root': {
      type: 'string',
      array: true,
      default: DEFAULT_RUNTIME_ROOTS,
      describe: 'state folders of the OCI runtimes',
    },
    'dump-timeout': {
      type: 'number',
      default: 300,
      describe: 'seconds after which a dump is given up: the runtime and CRIU are ended, the pod runs on',
    },
    repository: {
      type: 'string',
      default: CHECKPOINT_REPOSITORY,
      describe: 'folder that the nodes share, for archives of checkpoints',
    },
    'repository-shared': {
      choices: SHARING_MODES,
      default: 'auto' as const,
      describe: 'whether other nodes see that folder; auto: when something is mounted there',
    },
    'repository-timeout': {
      type: 'number',
      default: 30,
      describe:
        'seconds for which nothing may move in the repository before the archive stays on this node alone',
    },
    'archive-recipients': {
      type: 'string',
      describe: 'file of age recipients for whom checkpoints are encrypted that ask for it',
    },
    'archive-identities': {
      type: 'string',
      describe: 'file of age identities with which encrypted checkpoints are read',
    },
    ...kubeletFlags,
    ...setUpFlags,
    'log-level': { choices: LEVELS, default: 'info' as const, describe: 'what to log' },
  })
  .strict()
  .version(version)
  .locale('en')
  .help();

/** @throws InvalidArgument */
function seconds(flag: string, value: number): number {
  if (Number.isFinite(value) && value > 0 && value <= 86_400) return value * 1000;
  throw new LpmError('InvalidArgument', `--${flag} must be a number of seconds from 0 to 86400.`);
}

async function main(): Promise<void> {
  const options = await flags.parse();
  const log = createLogger(options['log-level']);
  const host = new Host();
  const socket =
    options['cri-socket'] ??
    CRI_SOCKETS.find((each) => existsSync(host.path(each))) ??
    // It is down, and an agent before us may be the reason.
    new SetUpState(options['state-dir']).journal()?.socket;
  if (!socket) {
    throw new LpmError(
      'RuntimeUnavailable',
      `There is no container runtime at ${CRI_SOCKETS.join(' or ')}.`,
      {
        hint: 'Name its socket with --cri-socket.',
      },
    );
  }
  const nodeName = options['node-name'];
  const runtimeRoots = [...options['runtime-root']];
  const parts: Omit<Context, 'keeper'> = {
    nodeName,
    version,
    host,
    cri: new Cri(host.path(socket)),
    state: new StateDir(options['state-dir']),
    log,
    metrics: new Metrics(),
    runtimeRoots,
    addRuntimeRoots: (roots) => runtimeRoots.push(...roots.filter((root) => !runtimeRoots.includes(root))),
    handlerPath: options['handler-path'],
    kubelet: kubeletOptions(options),
    dumpTimeoutMs: seconds('dump-timeout', options['dump-timeout']),
    archives: {
      repository: new Repository({
        path: options.repository,
        sharing: options['repository-shared'],
        patienceMs: seconds('repository-timeout', options['repository-timeout']),
        nodeName,
        owner: options['state-dir'],
      }),
      recipientsFile: options['archive-recipients'],
      identitiesFile: options['archive-identities'],
    },
  };
  const setUp: SetUpOptions = {
    socket,
    shipped: options['node-files'],
    restartCommand: options['restart-command'],
    restartTimeoutMs: seconds('restart-timeout', options['restart-timeout']),
  };
  if (options['uninstall-node']) {
    await uninstall(parts, setUp, { force: options.force, keepState: options['keep-state'] });
    return;
  }
  // First of all: as long as the runtime does not run, nothing else can be done.
  if (options['setup-node']) await takeBackUnfinished(runtimeTools(parts, setUp));
  const context = options['setup-node'] ? keepNode(parts, setUp) : { ...parts, keeper: new NodeKeeper() };
  const identity = startIdentity({
    tlsDir: options['tls-dir'],
    host,
    tokenFile: options['identity-token'],
    identityDir: options['identity-dir'],
    stateDir: options['state-dir'],
    nodeName,
    log,
  });
  const agent = await startAgent(context, identity, {
    listen: options.listen,
    healthListen: options['health-listen'],
    transferListen: options['transfer-listen'],
  });
  let ending = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (ending) return;
      ending = true;
      log.info('ending', { signal });
      void agent.stop().then(
        () => process.exit(0),
        (error: unknown) => {
          log.error('the agent did not end cleanly', { error });
          process.exit(1);
        },
      );
    });
  }
}

const started = process.argv[2] === WORKER_COMMAND ? serveRepository : main;
Promise.resolve(started()).catch((error: unknown) => {
  const hint = error instanceof LpmError && error.hint ? ` ${error.hint}` : '';
  process.stderr.write(`checkpoint-agent: ${messageOf(error)}${hint}\n`);
  process.exit(1);
});
