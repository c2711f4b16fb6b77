import type { ContainerStatus as CriContainerStatus } from '../../../../proto/gen/runtime/v1/cri.js';
import { isRunning, millis, runsOf, type ObservedPod } from '../observed.js';
import { specOf, type ContainerSpec, type Pod } from '../pod.js';
import {
  firstAttemptInMs,
  healthOf,
  healthy,
  initialState,
  judge,
  probeEvent,
  probeKinds,
  probeOf,
  type Health,
  type Probe,
  type ProbeKind,
  type ProbeOutcome,
  type ProbeState,
} from './decision.js';
import type { ProbeTarget } from './attempt.js';

export interface ProberOptions {
  attempt: (probe: Probe, target: ProbeTarget) => Promise<ProbeOutcome>;
  /** An attempt did not succeed. */
  onEvent: (container: ContainerSpec, message: string) => void;
  /** What the probes say of a container changed. */
  onChange: () => void;
}

interface Followed {
  target: ProbeTarget;
  startedAtMs: number;
  states: Partial<Record<ProbeKind, ProbeState>>;
  timers: Map<ProbeKind, NodeJS.Timeout>;
}

/** Runs the probes of one pod's containers: one timer for each probe of each container that runs. */
export class Prober {
  readonly #followed = new Map<string, Followed>();

  constructor(private readonly options: ProberOptions) {}

  /** Begins with containers that run now, ends with those that do not any more. */
  follow(pod: Pod, observed: ObservedPod, podIp: string): void {
    const running = new Set<string>();
    const spec = specOf(pod);
    const sidecars = (spec.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always');
    for (const container of [...sidecars, ...spec.containers]) {
      const run = runsOf(observed, container.name)[0];
      if (!run || !isRunning(run)) continue;
      running.add(run.id);
      if (!this.#followed.has(run.id)) this.#begin(pod, container, run, podIp);
    }
    for (const id of [...this.#followed.keys()]) if (!running.has(id)) this.#end(id);
  }

  health(containerId: string): Health {
    const followed = this.#followed.get(containerId);
    return followed ? healthOf(followed.states) : healthy;
  }

  stop(): void {
    for (const id of [...this.#followed.keys()]) this.#end(id);
  }

  #begin(pod: Pod, container: ContainerSpec, run: CriContainerStatus, podIp: string): void {
    const known = [
      ...(pod.status?.containerStatuses ?? []),
      ...(pod.status?.initContainerStatuses ?? []),
    ].find((status) => status.containerID?.split('//')[1] === run.id && status.state?.running);
    const followed: Followed = {
      target: { container, containerId: run.id, podIp },
      startedAtMs: millis(run.startedAt),
      states: {},
      timers: new Map(),
    };
    for (const kind of probeKinds) {
      if (!probeOf(container, kind)) continue;
      followed.states[kind] = initialState(
        kind,
        known && { ready: known.ready, started: known.started === true },
      );
    }
    this.#followed.set(run.id, followed);
    this.#schedule(followed);
  }

  #end(id: string): void {
    for (const timer of this.#followed.get(id)?.timers.values() ?? []) clearTimeout(timer);
    this.#followed.delete(id);
  }

  /** Sets the first timer of every probe that may begin and has not. */
  #schedule(followed: Followed): void {
    for (const kind of probeKinds) {
      const probe = probeOf(followed.target.container, kind);
      if (!probe || followed.timers.has(kind)) continue;
      if (kind === 'startup' && followed.states.startup?.result === 'success') continue;
      const inMs = firstAttemptInMs(probe, kind, {
        runningForMs: Date.now() - followed.startedAtMs,
        started: healthOf(followed.states).started,
      });
      if (inMs !== undefined) this.#arm(followed, kind, probe, inMs);
    }
  }

  #arm(followed: Followed, kind: ProbeKind, probe: Probe, inMs: number): void {
    const timer = setTimeout(() => void this.#attempt(followed, kind, probe), inMs);
    followed.timers.set(kind, timer);
  }

  async #attempt(followed: Followed, kind: ProbeKind, probe: Probe): Promise<void> {
    const { target } = followed;
    const began = Date.now();
    const outcome = await this.options.attempt(probe, target);
    if (this.#followed.get(target.containerId) !== followed) return;
    const message = probeEvent(kind, outcome);
    if (message !== undefined) this.options.onEvent(target.container, message);
    const before = healthOf(followed.states);
    const state = judge(probe, kind, followed.states[kind] ?? initialState(kind), outcome);
    followed.states[kind] = state;
    if (JSON.stringify(healthOf(followed.states)) !== JSON.stringify(before)) {
      this.#schedule(followed);
      this.options.onChange();
    }
    if (state.onHold || (kind === 'startup' && state.result === 'success')) return;
    const period = (probe.periodSeconds ?? 10) * 1000;
    this.#arm(followed, kind, probe, Math.max(0, began + period - Date.now()));
  }
}
