/** Which pods a command line means. Pure. */
import { UsageError } from '../cli-error.js';
import { either, near } from '../text/suggest.js';

export const WORKLOADS = {
  deployment: { words: ['deployment', 'deployments', 'deploy', 'deployment.apps'], group: 'apps/v1' },
  statefulset: { words: ['statefulset', 'statefulsets', 'sts', 'statefulset.apps'], group: 'apps/v1' },
  replicaset: { words: ['replicaset', 'replicasets', 'rs', 'replicaset.apps'], group: 'apps/v1' },
  daemonset: { words: ['daemonset', 'daemonsets', 'ds', 'daemonset.apps'], group: 'apps/v1' },
  job: { words: ['job', 'jobs', 'job.batch'], group: 'batch/v1' },
} as const;
export type WorkloadType = keyof typeof WORKLOADS;

const PODS = ['pod', 'pods', 'po'];

export type Subject =
  | { of: 'pod'; name: string; explicit: boolean }
  | { of: 'workload'; type: WorkloadType; name: string }
  | { of: 'selector'; selector: string };

/** `NAME`, `TYPE NAME…`, `TYPE/NAME…`, or nothing with -l or --all. Throws UsageError. */
export function readSubjects(
  words: readonly string[],
  selector: string | undefined,
  subcommands: readonly string[],
  all = false,
): Subject[] {
  const [first = '', ...rest] = words;
  if (all) {
    if (selector !== undefined) throw new UsageError('Either --all or a selector (-l).');
    const named = words.length > 1 || (words.length === 1 && !PODS.includes(first.toLowerCase()));
    if (named) throw new UsageError(`Either names or --all: what is "${words.at(-1)}"?`);
    return [{ of: 'selector', selector: '' }];
  }
  if (selector !== undefined) {
    const named = words.length > 1 || (words.length === 1 && !PODS.includes(first.toLowerCase()));
    if (named) throw new UsageError(`Either names or a selector (-l): what is "${words.at(-1)}"?`);
    return [{ of: 'selector', selector }];
  }
  if (first === '') throw new UsageError('Which pod?');
  if (first.includes('/')) return words.map(slashed);
  const type = typeOf(first);
  if (type !== undefined) {
    if (rest.length === 0) throw new UsageError(`Which ${type}? The name is missing.`);
    return rest.map((name) => subject(type, name));
  }
  const [second] = rest;
  if (second !== undefined) {
    const meant = near(first, [...subcommands, ...PODS, ...Object.keys(WORKLOADS)], 1);
    throw new UsageError(
      `What is "${second}"? Several pods are named as pod/NAME, or after the word pod.`,
      meant.length > 0 ? [`If "${first}" was to be something else: did you mean ${either(meant)}?`] : [],
    );
  }
  return [{ of: 'pod', name: first, explicit: false }];
}

function slashed(word: string): Subject {
  const [typed = '', ...names] = word.split('/');
  const type = typeOf(typed);
  if (type === undefined || names.length !== 1) {
    const meant = near(typed, ['pod', ...Object.keys(WORKLOADS)], 1);
    throw new UsageError(
      `"${word}" is neither a pod nor something that has pods.`,
      meant.length > 0 ? [`Did you mean ${either(meant.map((name) => `${name}/${names.join('/')}`))}?`] : [],
    );
  }
  if (names[0] === '') throw new UsageError(`The name is missing in "${word}".`);
  return subject(type, names[0]!);
}

function subject(type: WorkloadType | 'pod', name: string): Subject {
  return type === 'pod' ? { of: 'pod', name, explicit: true } : { of: 'workload', type, name };
}

export function typeOf(word: string): WorkloadType | 'pod' | undefined {
  const wanted = word.toLowerCase();
  if (PODS.includes(wanted)) return 'pod';
  const types = Object.keys(WORKLOADS) as WorkloadType[];
  return types.find((type) => (WORKLOADS[type].words as readonly string[]).includes(wanted));
}
