import { rmSync } from 'node:fs';
import { cpus } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '../../../common/errors.js';
import { ApiError, ApiUnreachable } from '../../../common/kube/api-error.js';
import { removePodCgroup } from './cgroups.js';
import type { PodFacts } from './env.js';
import { endContainer, killContainers, startContainer } from './container-actions.js';
import { noteCrashLoops } from './crash-loops.js';
import { detailsOf, type NodeContext } from './node-context.js';
import { isRunning, observePod, readySandbox, type ObservedPod } from './observed.js';
import { plan, type BackingOff, type ContainerKill, type ContainerStart } from './plan.js';
import { deletionGrace, namespaceOf, podKey, specOf, uidOf, type Pod } from './pod.js';
import { attempt } from './probes/attempt.js';
import { Prober } from './probes/prober.js';
import { logDirectory, sandboxConfig } from './sandbox-config.js';
import { clearOldSandbox, createSandbox, stopSandboxes } from './sandboxes.js';
import { podStatus, type Waiting } from './status.js';
import { StatusWriter } from './status-writer.js';
import { terminationMessages } from './termination-message.js';
import { mountVolumes, removePodDir } from './volumes.js';

/** The pod is looked at again after that time even when nothing happened: volumes are refreshed then. */
const resyncMs = 60_000;
/** After a failure that is nobody's fault (API server away, runtime restarting). */
const retryMs = 2000;

/**
 * Brings one pod to what its object says, one thing after the other, until the pod is gone. All that it needs to know
 * it finds again in the runtime and the API server, so a kubelet that starts anew goes on where the last one ended.
 */
export class PodWorker {
  #pod: Pod;
  /** The object is gone from the API server. */
  #removed = false;
  #woken = false;
  #wake: (() => void) | undefined;
  #abort = new AbortController();
  /** The end under way. */
  #stopping: { graceSeconds: number; abort: AbortController } | undefined;
  #volumes = new Map<string, string>();
  #mountedAt = 0;
  readonly #waiting = new Map<string, Waiting>();
  readonly #status: StatusWriter;
  readonly #prober: Prober;
  readonly done: Promise<void>;

  constructor(
    pod: Pod,
    private readonly node: NodeContext,
  ) {
    this.#pod = pod;
    this.#status = new StatusWriter(node.kube, node.log);
    this.#prober = new Prober({
      attempt: (probe, target) => attempt(node.cri, probe, target),
      onEvent: (container, message) =>
        node.events.record(this.#pod, 'Warning', 'Unhealthy', message, container),
      onChange: () => this.wake(),
    });
    this.done = this.#run();
  }

  /** The pod as last heard of. */
  get pod(): Pod {
    return this.#pod;
  }

  /** The object changed, or is gone (`removed`). */
  update(pod: Pod, removed = false): void {
    this.#pod = pod;
    this.#removed ||= removed;
    if (removed) this.#status.stop();
    this.#status.heard(pod.status);
    // A start that waits, perhaps for minutes, must not keep a pod from ending.
    if (this.#ending()) this.#abort.abort(new Error('the pod is being deleted'));
    // A second deletion can leave less time than the first did: the end under way is begun again with what is left.
    if (this.#stopping && this.#grace() < this.#stopping.graceSeconds) {
      this.#stopping.abort.abort(new Error('the grace period was shortened'));
    }
    this.wake();
  }

  /** Look again now: something changed in the runtime. */
  wake(): void {
    this.#woken = true;
    this.#wake?.();
  }

  #ending(): boolean {
    return this.#removed || this.#pod.metadata.deletionTimestamp !== undefined;
  }

  async #run(): Promise<void> {
    for (;;) {
      this.#woken = false;
      let wakeInMs: number | undefined = retryMs;
      try {
        if (this.#ending()) {
          if (await this.#terminate()) return;
        } else {
          wakeInMs = await this.#sync();
        }
      } catch (error) {
        if (!this.#abort.signal.aborted) this.node.log(`${podKey(this.#pod)}: ${messageOf(error)}`);
      }
      await this.#sleep(Math.min(wakeInMs ?? resyncMs, resyncMs));
    }
  }

  async #sleep(ms: number): Promise<void> {
    if (this.#woken) return;
    const stop = new AbortController();
    this.#wake = () => stop.abort();
    await delay(ms, undefined, { signal: stop.signal }).catch(() => {});
    this.#wake = undefined;
  }

  /** One round; answers the milliseconds until the next is due. */
  async #sync(): Promise<number | undefined> {
    const pod = this.#pod;
    if (pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed') {
      await stopSandboxes(this.node, await observePod(this.node.cri, uidOf(pod)));
      return undefined;
    }
    let observed = await observePod(this.node.cri, uidOf(pod));
    const backingOff: BackingOff = new Map();
    this.#prober.follow(pod, observed, this.#facts(readySandbox(observed)?.network?.ip ?? '').podIp);
    const next = plan(pod, observed, this.node.backoff, backingOff, (id) => this.#prober.health(id));
    noteCrashLoops(this.node, pod, observed, backingOff, this.#waiting);
    switch (next.do) {
      case 'create sandbox':
        if (next.killFirst) await clearOldSandbox(this.node, pod, observed, this.#grace());
        this.#report(observed);
        if (!(await this.#createSandbox(next.attempt))) return retryMs;
        return 0;
      case 'change containers': {
        if (next.kill.length > 0) {
          await this.#killUnhealthy(next.kill, observed);
          observed = await observePod(this.node.cri, uidOf(pod));
        }
        const retryInMs = await this.#startContainers(next.start, observed, next.kill.length > 0);
        observed = await observePod(this.node.cri, uidOf(pod));
        this.#prober.follow(pod, observed, this.#facts(readySandbox(observed)?.network?.ip ?? '').podIp);
        this.#report(observed);
        return Math.min(next.wakeInMs ?? resyncMs, retryInMs ?? resyncMs);
      }
      case 'finish':
        this.#prober.stop();
        await killContainers(this.node, pod, observed, this.#grace());
        observed = await observePod(this.node.cri, uidOf(pod));
        this.#report(observed);
        await stopSandboxes(this.node, observed);
        return undefined;
      case 'wait': {
        const sandbox = readySandbox(observed);
        if (Date.now() - this.#mountedAt > resyncMs) await this.#refresh(sandbox?.network?.ip ?? '');
        this.#report(observed);
        return next.wakeInMs;
      }
    }
  }

  async #killUnhealthy(kills: readonly ContainerKill[], observed: ObservedPod): Promise<void> {
    const podIp = readySandbox(observed)?.network?.ip ?? '';
    await Promise.all(
      kills.map(({ spec, run, message, graceSeconds }) =>
        endContainer(this.node, {
          pod: this.#pod,
          run,
          container: spec,
          podIp,
          message,
          graceSeconds: Math.max(2, graceSeconds ?? this.#grace()),
        }),
      ),
    );
  }

  /** Starts one after the other; answers the milliseconds after which a failed start is worth another try. */
  async #startContainers(
    starts: readonly ContainerStart[],
    observed: ObservedPod,
    afterKill: boolean,
  ): Promise<number | undefined> {
    const pod = this.#pod;
    const sandbox = readySandbox(observed);
    if (!sandbox) return 0;
    const podIp = sandbox.network?.ip ?? '';
    await this.#refresh(podIp);
    // A kubelet that ended a container in order to restart it does restart it, also when the pod was deleted meanwhile
    // (seen on a real one); all other starts are given up.
    const signal = afterKill ? new AbortController().signal : this.#abort.signal;
    let wakeInMs: number | undefined;
    for (const { spec, restartCount, countsAsFailure } of starts) {
      const failure = await startContainer(this.node, {
        pod,
        container: spec,
        restartCount,
        countsAsFailure,
        sandbox,
        config: sandboxConfig(pod, sandbox.metadata?.attempt ?? 0),
        facts: this.#facts(podIp),
        volumes: this.#volumes,
        observed,
        signal,
      });
      if (this.#ending()) return 0;
      if (failure) {
        this.#waiting.set(spec.name, failure.waiting);
        wakeInMs = Math.min(wakeInMs ?? failure.retryInMs, failure.retryInMs);
      } else {
        this.#waiting.delete(spec.name);
      }
    }
    return wakeInMs;
  }

  #facts(podIp: string): PodFacts {
    const { hostIp, nodeName, memoryCapacity } = this.node;
    const allocatable = { cpu: cpus().length, memory: memoryCapacity };
    return { podIp: specOf(this.#pod).hostNetwork ? hostIp : podIp, hostIp, nodeName, allocatable };
  }

  /** Volumes are made before the sandbox, which is when their absence is found out, and refreshed afterwards. */
  async #mount(podIp: string): Promise<void> {
    this.#volumes = await mountVolumes(this.#pod, this.#facts(podIp), this.node.sources);
    this.#mountedAt = Date.now();
  }

  /** As #mount, but what is mounted already will do while the API server is away. */
  async #refresh(podIp: string): Promise<void> {
    try {
      await this.#mount(podIp);
    } catch (error) {
      if (this.#mountedAt === 0 || !(error instanceof ApiUnreachable)) throw error;
      this.node.log(`${podKey(this.#pod)}: volumes are not refreshed: ${messageOf(error)}`);
      this.#mountedAt = Date.now();
    }
  }

  async #createSandbox(attempt: number): Promise<boolean> {
    try {
      await this.#mount('');
    } catch (error) {
      this.node.events.record(this.#pod, 'Warning', 'FailedMount', messageOf(error));
      return false;
    }
    try {
      await createSandbox(this.node, this.#pod, attempt, this.#abort.signal);
      return true;
    } catch (error) {
      if (this.#ending()) return true;
      const message = `Failed to create pod sandbox: ${detailsOf(error)}`;
      this.node.events.record(this.#pod, 'Warning', 'FailedCreatePodSandBox', message);
      return false;
    }
  }

  #grace(): number {
    const seconds = deletionGrace(this.#pod) ?? specOf(this.#pod).terminationGracePeriodSeconds ?? 30;
    // Zero means "at once" to the API server, but a container gets two seconds (the kubelet's minimum).
    return Math.max(2, seconds);
  }

  /** Ends the pod; true when nothing of it is left here or at the API server. */
  async #terminate(): Promise<boolean> {
    const pod = this.#pod;
    const uid = uidOf(pod);
    this.#prober.stop();
    let observed = await observePod(this.node.cri, uid);
    const stopping = { graceSeconds: this.#grace(), abort: new AbortController() };
    this.#stopping = stopping;
    try {
      await killContainers(this.node, pod, observed, stopping.graceSeconds, stopping.abort.signal);
    } finally {
      this.#stopping = undefined;
    }
    observed = await observePod(this.node.cri, uid);
    if (observed.containers.some(isRunning)) return false;
    await stopSandboxes(this.node, observed);
    this.#waiting.clear();
    if (!this.#removed) {
      // The last that is heard of a pod is how it ended.
      this.#report(observed, true);
      await this.#status.flushed();
    }
    await removePodDir(uid);
    for (const { id } of observed.sandboxes)
      await this.node.cri.runtime.removePodSandbox({ podSandboxId: id });
    if (!removePodCgroup(uid)) return false;
    rmSync(logDirectory(pod), { recursive: true, force: true });
    this.node.backoff.forget(uid);
    this.node.backoff.forget(`image/${uid}`);
    if (!this.#removed) await this.#deleteObject();
    return true;
  }

  async #deleteObject(): Promise<void> {
    const pod = this.#pod;
    try {
      await this.node.kube.pods.delete(pod.metadata.name, namespaceOf(pod), {
        uid: uidOf(pod),
        gracePeriodSeconds: 0,
      });
    } catch (error) {
      // Gone already, or a namesake took its place.
      if (!(error instanceof ApiError && (error.isNotFound || error.isConflict))) throw error;
    }
  }

  /** Has the pod's status written when it differs from what was written last. */
  #report(observed: ObservedPod, hasEnded = false): void {
    const status = podStatus({
      pod: this.#status.basis(this.#pod),
      observed,
      waiting: this.#waiting,
      terminationMessages: terminationMessages(observed),
      hostIp: this.node.hostIp,
      now: new Date(),
      health: (id) => this.#prober.health(id),
      hasEnded,
    });
    this.#status.write(this.#pod, status);
  }
}
