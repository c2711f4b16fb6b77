/** The kubelet of a node with the container runtime: one worker for each pod, as syncPod orders its work. */
import { ANNOTATION } from '../../common/api/names.js';
import type { Pod } from '../../common/kube/types.js';
import { create, type Created } from './handler.js';
import { Watch } from './api.js';
import type { Container, Node } from './node.js';
import { Process, type Steps } from './scheduler.js';
import type { World } from './world.js';

/** The kubelet's bound on a call of the runtime. */
const RUNTIME_TIMEOUT_MS = 120_000;

export function startKubelet(world: World, node: Node): void {
  const process = new Process('kubelet', `kubelet ${node.name}`);
  node.kubelet = process;
  world.scheduler.spawn(process, run(world, node, process), 'start kubelet');
}

function* run(world: World, node: Node, process: Process): Steps {
  yield { at: 'kubelet starts', ms: 1000 };
  while (world.links.isCut(node.name, 'api')) yield { at: '.the kubelet cannot list', ms: 2000 };
  const watch = world.api.watch();
  world.scheduler.spawn(process, deliver(world, node.name, watch), '.watch');
  const workers = new Set<string>();
  for (;;) {
    for (const pod of podsHere(watch, node)) start(pod.metadata.uid!);
    // What runs without an object is ended.
    for (const pod of node.sandboxes.keys()) start(pod);
    yield {
      at: '.kubelet looks around',
      until: () =>
        podsHere(watch, node).some((pod) => !workers.has(pod.metadata.uid!)) ||
        [...node.sandboxes.keys()].some((pod) => !workers.has(pod)),
    };
  }
  function start(uid: string): void {
    if (workers.has(uid)) return;
    workers.add(uid);
    world.scheduler.spawn(process, new PodWorker(world, node, watch, uid).run(), 'pod worker');
  }
}

/** Brings what has changed to a watcher, in order and late. */
export function* deliver(world: World, place: string, watch: Watch): Steps {
  for (;;) {
    yield {
      at: '.nothing to watch',
      until: () => watch.queue.length > 0 && !world.links.isCut(place, 'api'),
    };
    yield { at: 'watch event', ms: 5 };
    watch.queue.shift()?.();
    watch.seen++;
  }
}

function podsHere(watch: Watch, node: Node): Pod[] {
  return [...watch.pods.values()].filter((pod) => pod.spec?.nodeName === node.name);
}

class PodWorker {
  #restarts = 0;
  #backOff = 0;
  #reported = '';

  constructor(
    private readonly world: World,
    private readonly node: Node,
    private readonly watch: Watch,
    private readonly uid: string,
  ) {}

  get #pod(): Pod | undefined {
    for (const pod of this.watch.pods.values()) if (pod.metadata.uid === this.uid) return pod;
    return undefined;
  }
  get #leaving(): boolean {
    const pod = this.#pod;
    return !pod || pod.metadata.deletionTimestamp !== undefined;
  }
  /** The runtime's container of the pod that is not over. */
  get #container(): Container | undefined {
    return this.node.containers.find(
      ({ pod, state, started }) => pod === this.uid && state === 'running' && started,
    );
  }

  *run(): Steps {
    const { world, node, uid } = this;
    for (;;) {
      yield { at: 'sync the pod', ms: 5 };
      const pod = this.#pod;
      if (!pod || this.#leaving) {
        yield* this.#end();
        return;
      }
      if (!node.sandbox(uid)) {
        yield { at: 'run the sandbox', ms: 100 };
        node.sandboxes.set(uid, { pod: uid, fence: false, stopping: false });
        continue;
      }
      const container = this.#container;
      if (!container) {
        if (this.#backOff > 0) {
          yield { at: '.back-off', until: () => this.#leaving, timeoutMs: this.#backOff };
          if (this.#leaving) continue;
        }
        yield* this.#start(pod);
        continue;
      }
      yield* this.#report(container);
      const healthy = (): boolean => !node.isFrozen(container) && !container.held;
      const over = (): boolean => this.#leaving || container.state === 'exited';
      yield {
        at: '.watch the container',
        until: () => over() || (world.patienceMs !== undefined && !healthy()),
      };
      if (over()) continue;
      // The probe fails while the process stands still.
      yield { at: '.the probe fails', until: () => over() || healthy(), timeoutMs: world.patienceMs! };
      if (over() || healthy()) continue;
      world.note('killed by its probe');
      yield* this.#killContainer(container);
      // It was decided to start it again before the kill: whatever has been asked since comes after that.
      if (container.state === 'exited') yield* this.#start(pod);
    }
  }

  *#start(pod: Pod): Steps {
    const { world, node, uid } = this;
    const id = world.id('c');
    const waits = pod.metadata.annotations?.[ANNOTATION.migration] !== undefined;
    let outcome: Created = 'plain';
    if (waits) outcome = yield* this.#callHandler(id);
    else yield { at: 'create a container', ms: 20 };
    if (outcome === 'failed') {
      this.#backOff = Math.min(60_000, Math.max(1000, this.#backOff * 2));
      return;
    }
    if (outcome === 'plain') {
      const container = node.create(uid, 'plain', id);
      yield { at: 'start a container', ms: 20 };
      if (container.state === 'created') container.state = 'running';
      container.started = true;
      if (node.isFrozen(container)) {
        world.note('born frozen');
        // The runtime's call hangs as long as the pod is frozen.
        yield {
          at: 'wait for a container that was born frozen',
          until: () => container.state === 'exited' || !node.isFrozen(container),
          timeoutMs: RUNTIME_TIMEOUT_MS,
        };
        if (node.isFrozen(container)) node.killByRuntime(container);
      }
    }
    this.#restarts += 1;
    this.#backOff = Math.min(60_000, Math.max(this.#restarts > 1 ? 1000 : 0, this.#backOff * 2));
  }

  *#callHandler(id: string): Steps<Created> {
    const { world, node, uid } = this;
    const handler = new Process('handler', `handler ${uid} ${node.name}`);
    let outcome: Created | undefined;
    world.scheduler.spawn(
      handler,
      (function* (): Steps {
        const created = yield* create(world, node, handler, uid, id);
        if (created === 'restored') yield { at: 'the runtime starts it', ms: 10 };
        outcome = created;
        // The runtime knows it, whether or not its kubelet still waits.
        for (const each of node.containers) if (each.id === id && outcome === 'restored') each.started = true;
        handler.alive = false;
      })(),
      'handler begins',
    );
    yield { at: 'wait for the handler', until: () => !handler.alive, timeoutMs: RUNTIME_TIMEOUT_MS };
    if (handler.alive) {
      world.note('runtime deadline');
      world.scheduler.kill(handler);
    }
    if (outcome !== undefined && outcome !== 'failed') return outcome;
    // containerd and CRI-O take away what a failed call has left, if they are not restarted meanwhile.
    yield { at: 'the runtime tidies up', ms: 20 };
    node.delete(id);
    return 'failed';
  }

  *#killContainer(container: Container): Steps {
    const { world, node } = this;
    yield { at: 'SIGTERM', ms: 5 };
    node.terminate(container);
    yield { at: 'grace period', until: () => container.state === 'exited', timeoutMs: world.setup.graceMs };
    if (container.state === 'exited') return;
    yield { at: 'SIGKILL', ms: 5 };
    node.killByRuntime(container);
    yield {
      at: 'wait for the killed container',
      until: () => container.state === 'exited',
      timeoutMs: RUNTIME_TIMEOUT_MS,
    };
  }

  /** Ends the pod: the containers, the sandbox, the object. */
  *#end(): Steps {
    const { world, node, uid } = this;
    for (const each of node.running(uid)) yield* this.#killContainer(each);
    const sandbox = node.sandbox(uid);
    if (sandbox) {
      yield { at: 'stop the sandbox', ms: 5 };
      sandbox.stopping = true;
      yield { at: 'sandbox gets its signal', until: () => !sandbox.fence, timeoutMs: 3_600_000 };
      for (const each of node.containers)
        if (each.pod === uid && each.state !== 'exited') node.killByRuntime(each);
      yield { at: 'remove the sandbox', until: () => node.running(uid).length === 0 };
      node.sandboxes.delete(uid);
      node.containers = node.containers.filter((each) => each.pod !== uid);
    }
    yield { at: 'remove the object', until: () => !world.links.isCut(node.name, 'api') };
    const live = world.api.podByUid(uid);
    if (live?.metadata.deletionTimestamp) world.api.deletePod(live.metadata.name, uid, true);
  }

  *#report(container: Container): Steps {
    const { world, node, uid } = this;
    const text = `${container.id} ${container.state}`;
    if (text === this.#reported || world.links.isCut(node.name, 'api')) return;
    yield { at: 'report the status', ms: 10 };
    this.#reported = text;
    world.api.patchPodStatus(uid, {
      phase: 'Running',
      containerStatuses: [
        {
          name: 'counter',
          image: 'busybox',
          imageID: 'sha256:1',
          ready: true,
          restartCount: Math.max(0, this.#restarts - 1),
          containerID: `containerd://${container.id}`,
          state: { running: {} },
        },
      ],
    });
  }
}
