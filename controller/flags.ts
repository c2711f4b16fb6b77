/** The controller's command line. */
import yargs from 'yargs';
import { AGENT_PORT, SYSTEM_NAMESPACE } from '../common/api/names.js';
import { DEFAULT_TIMEOUTS } from './agents/agent.js';
import { REJOIN_MS } from './migration/frozen.js';
import type { Limits } from './checkpoint/retention.js';
import { parseDuration } from '../common/duration.js';
import { parseBytes } from '../common/quantity.js';
import { certificateTimes, identityFlags, type IdentityFlags } from './identity/flags.js';
import type { ElectionTimes } from './leader/election.js';
import { LOG_LEVELS, type LogLevel } from './log.js';

export interface Flags extends IdentityFlags {
  kubeconfig: string | undefined;
  agentPort: number;
  namespace: string;
  healthListen: string;
  workers: number;
  logLevel: LogLevel;
  leaderElect: boolean;
  /** As they were given; electionTimes() reads them. */
  leaderElectLeaseDuration: string;
  leaderElectRenewDeadline: string;
  leaderElectRetryPeriod: string;
  leaderElectResourceName: string;
  apiWaitSeconds: number;
  agentCallSeconds: number;
  agentWorkSeconds: number;
  agentSilenceSeconds: number;
  rejoinSeconds: number;
  retainPerPod: number;
  retainPerNamespace: number;
  /** As it was given; retentionLimits() reads it. */
  retainTotalBytes: string;
}

/** Throws Error with a sentence when the amount cannot be read. */
export function retentionLimits(
  flags: Pick<Flags, 'retainPerPod' | 'retainPerNamespace' | 'retainTotalBytes'>,
): Limits {
  const totalBytes = parseBytes(flags.retainTotalBytes);
  if (totalBytes === undefined) {
    throw new Error(`--retain-total-bytes ${flags.retainTotalBytes} is not an amount such as 10Gi.`);
  }
  return { perPod: flags.retainPerPod, perNamespace: flags.retainPerNamespace, totalBytes };
}

/**
 * Throws Error with a sentence when the times do not fit together. The names, the values and the rules are
 * kube-controller-manager's.
 */
export function electionTimes(flags: {
  leaderElectLeaseDuration: string;
  leaderElectRenewDeadline: string;
  leaderElectRetryPeriod: string;
}): ElectionTimes {
  const leaseDurationMs = milliseconds('lease-duration', flags.leaderElectLeaseDuration);
  const renewDeadlineMs = milliseconds('renew-deadline', flags.leaderElectRenewDeadline);
  const retryPeriodMs = milliseconds('retry-period', flags.leaderElectRetryPeriod);
  if (leaseDurationMs % 1000 !== 0) {
    throw new Error(
      '--leader-elect-lease-duration must be in whole seconds: the Lease has no room for less.',
    );
  }
  if (renewDeadlineMs >= leaseDurationMs) {
    throw new Error(
      '--leader-elect-renew-deadline must be shorter than --leader-elect-lease-duration: who leads must have given up when the next one begins.',
    );
  }
  if (retryPeriodMs * 1.2 >= renewDeadlineMs) {
    throw new Error(
      '--leader-elect-renew-deadline must be longer than 1.2 times --leader-elect-retry-period: there must be time for a second attempt.',
    );
  }
  return { leaseDurationMs, renewDeadlineMs, retryPeriodMs };
}

function milliseconds(name: string, text: string): number {
  const ms = parseDuration(text);
  if (!ms) throw new Error(`--leader-elect-${name} ${text} is not a duration such as 15s or 1m30s.`);
  return ms;
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
      'leader-elect': {
        type: 'boolean',
        default: true,
        describe: 'Let only one of several replicas act, agreed by a Lease; the others stand by',
      },
      'leader-elect-lease-duration': {
        type: 'string',
        default: '15s',
        describe: 'A replica that stands by takes over when the Lease was not renewed for so long',
      },
      'leader-elect-renew-deadline': {
        type: 'string',
        default: '10s',
        describe: 'The replica that acts stops and exits when it could not renew for so long',
      },
      'leader-elect-retry-period': {
        type: 'string',
        default: '2s',
        describe: 'Time between two attempts to take or renew the Lease',
      },
      'leader-elect-resource-name': {
        type: 'string',
        default: 'lpm-controller',
        describe: 'Name of the Lease, in the namespace given with --namespace',
      },
    })
    .options(identityFlags)
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
    .options({
      'retain-per-pod': {
        type: 'number',
        default: 0,
        describe: 'Checkpoints that are kept of a pod; the oldest go first, never one in use. 0: all',
      },
      'retain-per-namespace': {
        type: 'number',
        default: 0,
        describe: 'The same for all pods of a namespace together',
      },
      'retain-total-bytes': {
        type: 'string',
        default: '0',
        describe: 'What all checkpoints that are kept may take together, such as 10Gi. 0: no limit',
      },
    })
    .check((flags) => {
      for (const name of ['retain-per-pod', 'retain-per-namespace'] as const) {
        if (!Number.isInteger(flags[name]) || flags[name] < 0) {
          throw new Error(`--${name} must be a whole number, 0 or more.`);
        }
      }
      retentionLimits(flags as unknown as Flags);
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
      electionTimes(flags as unknown as Flags);
      certificateTimes(flags as unknown as Flags);
      return true;
    })
    .strict()
    .parseSync() as unknown as Flags;
}
