/** One machine: its disk, its cgroups and the containers of the runtime. */
import { Disk } from './disk.js';
import { Process } from './scheduler.js';
import type { World } from './world.js';

/** A checkpoint's images: which instructions the process had executed, and whether the images are whole. */
export interface Image {
  checkpoint: string;
  instructions: number;
  /** Boots of the source's node when it was dumped and when it was taken from there. */
  boot: number;
  takenAtBoot: number;
  /** ID of the container that was dumped. */
  container: string;
  whole: boolean;
}

export interface Container {
  id: string;
  pod: string;
  /** From the image; from a checkpoint. */
  kind: 'plain' | 'restored';
  state: 'created' | 'running' | 'exited';
  /** Its own cgroup's switch. */
  frozen: boolean;
  /** A signal that waits until it is thawed. */
  pending: { kill: boolean; term: boolean };
  /** Restored, but CRIU has not let it go. */
  held: boolean;
  /** The runtime's calls that made and started it have returned: the kubelet counts it as the pod's container. */
  started: boolean;
  image?: Image;
  attempt: number;
}

/** What the runtime and the kernel hold for a pod. */
export interface Sandbox {
  pod: string;
  /** The pod's cgroup: what is started in it is born frozen. */
  fence: boolean;
  /** The kubelet has begun to stop it. */
  stopping: boolean;
}

export class Node {
  readonly disk: Disk;
  up = true;
  boot = 1;
  containers: Container[] = [];
  readonly sandboxes = new Map<string, Sandbox>();
  agent: Process;
  kubelet: Process;

  constructor(
    private readonly world: World,
    readonly name: string,
    /** On cgroup v1 a frozen process dies only when it is thawed, and the runtime thaws a container that it kills. */
    readonly cgroup: 1 | 2,
  ) {
    this.disk = new Disk(world.choices);
    this.agent = new Process('agent', `agent ${name}`);
    this.kubelet = new Process('kubelet', `kubelet ${name}`);
  }

  sandbox(pod: string): Sandbox | undefined {
    return this.sandboxes.get(pod);
  }

  /** Containers of a pod whose process is there. */
  running(pod: string): Container[] {
    return this.containers.filter((each) => each.pod === pod && each.state === 'running');
  }

  newest(pod: string): Container | undefined {
    return this.containers.filter((each) => each.pod === pod).at(-1);
  }

  isFrozen(container: Container): boolean {
    return container.frozen || (this.sandboxes.get(container.pod)?.fence ?? false);
  }

  executes(container: Container): boolean {
    return this.up && container.state === 'running' && !container.held && !this.isFrozen(container);
  }

  create(pod: string, kind: Container['kind'], id = this.world.id('c')): Container {
    const attempt = this.containers.filter((each) => each.pod === pod).length;
    const container: Container = {
      id,
      pod,
      kind,
      state: 'created',
      frozen: false,
      pending: { kill: false, term: false },
      held: false,
      started: false,
      attempt,
    };
    this.containers.push(container);
    return container;
  }

  freeze(target: Container | Sandbox, frozen: boolean): void {
    if ('fence' in target) target.fence = frozen;
    else target.frozen = frozen;
    this.#deliver();
  }

  /** SIGKILL by an agent or the kernel. */
  kill(container: Container): void {
    container.pending.kill = true;
    if (this.cgroup === 2 || container.state === 'created') container.state = 'exited';
    this.#deliver();
  }

  /** A killed process dies although the pod stays frozen. */
  endBehindFence(container: Container): void {
    if (container.pending.kill) container.state = 'exited';
  }

  /** SIGKILL by the runtime, on v1 together with a thaw of that container (runc kill). */
  killByRuntime(container: Container): void {
    container.pending.kill = true;
    if (this.cgroup === 1) container.frozen = false;
    this.kill(container);
  }

  /** SIGTERM. */
  terminate(container: Container): void {
    container.pending.term = true;
    this.#deliver();
  }

  /** The runtime takes a container away with all its processes. */
  delete(id: string): void {
    for (const each of this.containers)
      if (each.id === id && each.state !== 'exited') this.killByRuntime(each);
  }

  /** Everything in memory is gone. */
  losePower(): void {
    this.up = false;
    for (const each of this.containers) each.state = 'exited';
    this.containers = [];
    this.sandboxes.clear();
    this.disk.losePower();
  }

  #deliver(): void {
    for (const each of this.containers) {
      if (each.state !== 'running' || this.isFrozen(each)) continue;
      const { kill, term } = each.pending;
      if (kill || (term && this.world.setup.diesOnTerm && !each.held)) each.state = 'exited';
    }
  }
}
