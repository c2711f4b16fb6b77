/** The controller's command line. */
import yargs from 'yargs';
import { AGENT_PORT, SYSTEM_NAMESPACE } from '../common/api/names.js';
import { LOG_LEVELS, type LogLevel } from './log.js';

export interface Flags {
  kubeconfig: string | undefined;
  tlsDir: string;
  agentPort: number;
  namespace: string;
  healthListen: string;
  workers: number;
  logLevel: LogLevel;
  leaderElection: boolean;
  apiWaitSeconds: number;
}

/** Reads the arguments; ends the process after --help, --version or a mistake. */
export function parseFlags(args: string[], version: string): Flags {
  return yargs(args)
    .scriptName('controller')
    .usage(
      '$0 [flags]\n\nReconciles PodMigrations and checkpoints. Runs in the cluster, or outside with --kubeconfig.',
    )
    .locale('en')
    .version(version)
    .options({
      kubeconfig: { type: 'string', describe: 'Kubeconfig file; without it the ServiceAccount of the pod' },
      'tls-dir': {
        type: 'string',
        default: '/etc/lpm/tls',
        describe: 'Folder with tls.crt, tls.key and ca.crt for the agents',
      },
      'agent-port': { type: 'number', default: AGENT_PORT, describe: 'Port of the agents on their nodes' },
      namespace: {
        type: 'string',
        default: SYSTEM_NAMESPACE,
        describe: 'Namespace of controller and agents',
      },
      'health-listen': {
        type: 'string',
        default: '0.0.0.0:8081',
        describe: 'Address for /healthz, /readyz and /metrics; empty: none',
      },
      workers: {
        type: 'number',
        default: 16,
        describe: 'Objects of each kind that are worked on at the same time',
      },
      'log-level': { choices: LOG_LEVELS, default: 'info' as LogLevel, describe: 'Least level of log lines' },
      'leader-election': {
        type: 'boolean',
        default: false,
        describe: 'Let only one of several replicas work (not built yet: run one replica)',
      },
    })
    .options({
      'api-wait-seconds': {
        type: 'number',
        default: 30,
        describe: 'How long an API server that cannot be reached at the start is waited for',
      },
    })
    .check((flags) => {
      for (const name of ['agent-port', 'workers'] as const) {
        if (!Number.isInteger(flags[name]) || flags[name] < 1) {
          throw new Error(`--${name} must be a whole number above 0.`);
        }
      }
      return true;
    })
    .strict()
    .parseSync() as unknown as Flags;
}
