import { rmSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '../../../common/errors.js';
import { ApiError } from '../../../common/kube/api-error.js';
import type { KubeClient } from '../../../common/kube/client.js';
import type { Cri } from '../cri.js';
import type { Backoff } from './backoff.js';
import { createPodCgroup, removePodCgroup } from './cgroups.js';
import type { PodFacts } from './env.js';
import type { EventRecorder } from './events.js';
import { killContainers, startContainer } from './container-actions.js';
import { isRunning, observePod, readySandbox, type ObservedPod } from './observed.js';
import { backoffKey, plan, type BackingOff } from './plan.js';
import { deletionGrace, namespaceOf, podKey, specOf, uidOf, type Pod } from './pod.js';
import { logDirectory, sandboxConfig } from './sandbox-config.js';
import type { ApiSources } from './sources.js';
import { podStatus, type Waiting } from './status.js';
import { terminationMessages } from './termination-message.js';
import { mountVolumes, removePodDir } from './volumes.js';

/** What all workers of a node share. */
export interface NodeContext {
  kube: KubeClient;
  cri: Cri;
  events: EventRecorder;
  backoff: Backoff;
  sources: ApiSources;
  nodeName: string;
  hostIp: string;
  memoryCapacity: number;
  log: (message: string) => void;
}

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
  #volumes = new Map<string, string>();
  #mountedAt = 0;
  readonly #waiting = new Map<string, Waiting>();
  #lastStatus = '';
  readonly done: Promise<void>;

  constructor(
    pod: Pod,
    private readonly node: NodeContext,
  ) {
    this.#pod = pod;
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
    // A start that waits, perhaps for minutes, must not keep a pod from ending.
    if (this.#ending()) this.#abort.abort(new Error('the pod is being deleted'));
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
      await this.#stopSandboxes(await observePod(this.node.cri, uidOf(pod)));
      return undefined;
    }
    let observed = await observePod(this.node.cri, uidOf(pod));
    const backingOff: BackingOff = new Map();
    const next = plan(pod, observed, this.node.backoff, backingOff);
    this.#noteBackoff(observed, backingOff);
    switch (next.do) {
      case 'create sandbox':
        if (next.killFirst) await this.#clearOldSandbox(observed);
        await this.#report(observed);
        if (!(await this.#createSandbox(next.attempt))) return retryMs;
        return 0;
      case 'start containers': {
        const sandbox = readySandbox(observed);
        if (!sandbox) return 0;
        await this.#mount(sandbox.network?.ip ?? '');
        let wakeInMs = next.wakeInMs;
        for (const start of next.containers) {
          const result = await startContainer(this.node, {
            pod,
            container: start.spec,
            restartCount: start.restartCount,
            sandbox,
            config: sandboxConfig(pod, sandbox.metadata?.attempt ?? 0),
            facts: this.#facts(sandbox.network?.ip ?? ''),
            volumes: this.#volumes,
            observed,
            signal: this.#abort.signal,
          });
          if (this.#ending()) return 0;
          if (result) {
            this.#waiting.set(start.spec.name, result.waiting);
            wakeInMs = Math.min(wakeInMs ?? result.retryInMs, result.retryInMs);
          } else {
            this.#waiting.delete(start.spec.name);
          }
        }
        observed = await observePod(this.node.cri, uidOf(pod));
        await this.#report(observed);
        return wakeInMs;
      }
      case 'finish':
        await this.#report(observed);
        await this.#stopSandboxes(observed);
        return undefined;
      case 'wait': {
        const sandbox = readySandbox(observed);
        if (Date.now() - this.#mountedAt > resyncMs) await this.#mount(sandbox?.network?.ip ?? '');
        await this.#report(observed);
        return next.wakeInMs;
      }
    }
  }

  #facts(podIp: string): PodFacts {
    const { hostIp, nodeName } = this.node;
    return { podIp: specOf(this.#pod).hostNetwork ? hostIp : podIp, hostIp, nodeName };
  }

  /** Volumes are made before the sandbox, which is when their absence is found out, and refreshed afterwards. */
  async #mount(podIp: string): Promise<void> {
    this.#volumes = await mountVolumes(this.#pod, this.#facts(podIp), this.node.sources);
    this.#mountedAt = Date.now();
  }

  async #createSandbox(attempt: number): Promise<boolean> {
    const pod = this.#pod;
    try {
      await this.#mount('');
    } catch (error) {
      this.node.events.record(pod, 'Warning', 'FailedMount', messageOf(error));
      return false;
    }
    try {
      const className = specOf(pod).runtimeClassName;
      const runtimeHandler = className ? await this.node.sources.runtimeHandler(className) : '';
      if (runtimeHandler === undefined) {
        throw new Error(`failed to get sandbox runtime: no RuntimeClass "${className}" is known`);
      }
      createPodCgroup(pod);
      await this.node.cri.runtime.runPodSandbox(
        { config: sandboxConfig(pod, attempt), runtimeHandler },
        240_000,
        this.#abort.signal,
      );
      return true;
    } catch (error) {
      if (this.#ending()) return true;
      const message = `Failed to create pod sandbox: ${detailsOf(error)}`;
      this.node.events.record(pod, 'Warning', 'FailedCreatePodSandBox', message);
      return false;
    }
  }

  async #clearOldSandbox(observed: ObservedPod): Promise<void> {
    this.node.events.record(
      this.#pod,
      'Normal',
      'SandboxChanged',
      'Pod sandbox changed, it will be killed and re-created.',
    );
    await killContainers(this.node, this.#pod, observed, this.#grace());
    await this.#stopSandboxes(observed);
    for (const { id } of observed.sandboxes.slice(1)) {
      await this.node.cri.runtime.removePodSandbox({ podSandboxId: id });
    }
  }

  async #stopSandboxes(observed: ObservedPod): Promise<void> {
    for (const { id } of observed.sandboxes) await this.node.cri.runtime.stopPodSandbox({ podSandboxId: id });
  }

  #noteBackoff(observed: ObservedPod, backingOff: BackingOff): void {
    const pod = this.#pod;
    for (const container of [...(specOf(pod).initContainers ?? []), ...specOf(pod).containers]) {
      const { name } = container;
      if (backingOff.has(name)) {
        const seconds = this.node.backoff.waitMs(backoffKey(pod, container)) / 1000;
        const nice = seconds >= 60 ? `${Math.floor(seconds / 60)}m${seconds % 60}s` : `${seconds}s`;
        const what = `restarting failed container=${name} pod=${pod.metadata.name}_${namespaceOf(pod)}(${uidOf(pod)})`;
        // A start that failed keeps its own reason; a container that ran and ended is crash looping.
        if (this.#waiting.get(name)?.reason !== 'CrashLoopBackOff') {
          this.node.events.record(
            pod,
            'Warning',
            'BackOff',
            `Back-off ${what.replace('container=', 'container ').replace('pod=', 'in pod ')}`,
            name,
          );
        }
        this.#waiting.set(name, { reason: 'CrashLoopBackOff', message: `back-off ${nice} ${what}` });
      } else if (observed.containers.some((run) => run.metadata?.name === name && isRunning(run))) {
        this.#waiting.delete(name);
      }
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
    let observed = await observePod(this.node.cri, uid);
    await killContainers(this.node, pod, observed, this.#grace());
    observed = await observePod(this.node.cri, uid);
    if (observed.containers.some(isRunning)) return false;
    await this.#stopSandboxes(observed);
    this.#waiting.clear();
    if (!this.#removed) await this.#report(observed);
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

  /** Writes the pod's status when it differs from what was written last. */
  async #report(observed: ObservedPod): Promise<void> {
    const pod = this.#pod;
    const status = podStatus({
      pod,
      observed,
      waiting: this.#waiting,
      terminationMessages: terminationMessages(observed),
      hostIp: this.node.hostIp,
      now: new Date(),
    });
    const text = JSON.stringify(status);
    if (text === this.#lastStatus) return;
    try {
      const written = await this.node.kube.pods.patch(
        pod.metadata.name,
        namespaceOf(pod),
        // The UID keeps a namesake from getting this pod's status.
        { metadata: { uid: uidOf(pod) }, status },
        { subresource: 'status' },
      );
      this.#lastStatus = text;
      // What the watch will bring in a moment: times of conditions are carried on from it.
      if (this.#pod === pod) this.#pod = written;
    } catch (error) {
      if (error instanceof ApiError && (error.isNotFound || error.isConflict)) return;
      throw error;
    }
  }
}

/** gRPC errors say their code first; people want the sentence. */
export const detailsOf = (error: unknown): string =>
  (error as { details?: string }).details || messageOf(error);
