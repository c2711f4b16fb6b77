import type { ContainerSpec } from '../pod.js';

export type Probe = NonNullable<ContainerSpec['livenessProbe']>;
export type ProbeKind = 'startup' | 'liveness' | 'readiness';
export const probeKinds: readonly ProbeKind[] = ['startup', 'liveness', 'readiness'];

export const probeOf = (container: ContainerSpec, kind: ProbeKind): Probe | undefined =>
  container[`${kind}Probe`];

/** What one attempt told. `unknown`: the attempt itself failed, which says nothing about the container. */
export interface ProbeOutcome {
  result: 'success' | 'failure' | 'unknown';
  output: string;
}

/** Where a probe of one run of a container stands. */
export interface ProbeState {
  /** What counts: it changes only once a threshold is reached. */
  result: 'success' | 'failure' | 'unknown';
  last: 'success' | 'failure' | undefined;
  /** How many attempts in a row ended like the last. */
  inARow: number;
  /** The container is about to be restarted: no attempts until the next run. */
  onHold: boolean;
}

/**
 * Before the first attempt: alive, not ready, not known whether started. A kubelet that starts anew beside a running
 * container takes over what the pod's status said (feature gate ChangeContainerStatusOnKubeletRestart, off since 1.35).
 */
export function initialState(kind: ProbeKind, known?: { ready: boolean; started: boolean }): ProbeState {
  const result = {
    liveness: 'success' as const,
    readiness: known?.ready ? ('success' as const) : ('failure' as const),
    startup: known?.started ? ('success' as const) : ('unknown' as const),
  }[kind];
  return { result, last: undefined, inARow: 0, onHold: false };
}

/** The kubelet's hysteresis (pkg/kubelet/prober/worker.go): counts attempts in a row against the thresholds. */
export function judge(probe: Probe, kind: ProbeKind, state: ProbeState, outcome: ProbeOutcome): ProbeState {
  if (outcome.result === 'unknown') return state;
  const inARow = state.last === outcome.result ? state.inARow + 1 : 1;
  const counted = { ...state, last: outcome.result, inARow };
  const threshold =
    outcome.result === 'failure' ? (probe.failureThreshold ?? 3) : (probe.successThreshold ?? 1);
  if (inARow < threshold) return counted;
  if (outcome.result === 'failure' && kind !== 'readiness') {
    return { result: 'failure', last: outcome.result, inARow: 0, onHold: true };
  }
  return { ...counted, result: outcome.result };
}

/** Milliseconds until the first attempt may be made; undefined while another probe has to succeed first. */
export function firstAttemptInMs(
  probe: Probe,
  kind: ProbeKind,
  container: { runningForMs: number; started: boolean },
): number | undefined {
  if (kind !== 'startup' && !container.started) return undefined;
  return Math.max(0, (probe.initialDelaySeconds ?? 0) * 1000 - container.runningForMs);
}

/** The event that the kubelet records for an attempt; undefined for a success. */
export function probeEvent(kind: ProbeKind, outcome: ProbeOutcome): string | undefined {
  const name = `${kind[0]?.toUpperCase() ?? ''}${kind.slice(1)} probe`;
  switch (outcome.result) {
    case 'success':
      return undefined;
    case 'failure':
      return `${name} failed: ${outcome.output}`;
    case 'unknown':
      return `${name} errored and resulted in unknown state: ${outcome.output}`;
  }
}

/** What the probes say of one run of a container. */
export interface Health {
  started: boolean;
  ready: boolean;
  /** The probe for whose failure the container is to be restarted. */
  failed: 'startup' | 'liveness' | undefined;
}

export const healthy: Health = { started: true, ready: true, failed: undefined };

/** A probe that a container does not have has succeeded. */
export function healthOf(states: Partial<Record<ProbeKind, ProbeState>>): Health {
  const result = (kind: ProbeKind): ProbeState['result'] => states[kind]?.result ?? 'success';
  const started = result('startup') === 'success';
  return {
    started,
    ready: started && result('readiness') === 'success',
    failed:
      result('startup') === 'failure' ? 'startup' : result('liveness') === 'failure' ? 'liveness' : undefined,
  };
}
