/** The controller's command line. */
import yargs from 'yargs';
import { AGENT_PORT, SYSTEM_NAMESPACE } from '../common/api/names.js';
import { DEFAULT_TIMEOUTS } from './agents/agent.js';
import { REJOIN_MS } from './migration/frozen.js';
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
  agentCallSeconds: number;
  agentWorkSeconds: number;
  agentSilenceSeconds: number;
  rejoinSeconds: number;
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
      'agent-call-seconds': {
        type: 'number',
        default: DEFAULT_TIMEOUTS.callMs / 1000,
        describe: 'How long an agent may take for an answer that needs no work',
      },
      'agent-work-seconds': {
        type: 'number',
        default: DEFAULT_TIMEOUTS.workMs / 1000,
        describe: 'The same where processes have to end or files are removed',
      },
      'agent-silence-seconds': {
        type: 'number',
        default: DEFAULT_TIMEOUTS.silenceMs / 1000,
        describe: 'How long a checkpoint or restore may report nothing before it is asked for again',
      },
      'rejoin-seconds': {
        type: 'number',
        default: REJOIN_MS / 1000,
        describe: 'How long a lost checkpoint or restore is asked for again before it is rolled back',
      },
    })
    .check((flags) => {
      for (const name of ['agent-port', 'workers'] as const) {
        if (!Number.isInteger(flags[name]) || flags[name] < 1) {
          throw new Error(`--${name} must be a whole number above 0.`);
        }
      }
      for (const name of [
        'agent-call-seconds',
        'agent-work-seconds',
        'agent-silence-seconds',
        'rejoin-seconds',
      ] as const) {
        if (!(flags[name] > 0)) throw new Error(`--${name} must be a number above 0.`);
      }
      return true;
    })
    .strict()
    .parseSync() as unknown as Flags;
}
