/** One small cluster with everything in it, and what is true of it whatever anybody has recorded. */
import type { Observed } from '../../controller/migration/observed.js';
import { aPod } from '../../controller/migration/build.testing.js';
import { isFinal } from '../../controller/migration/decide.js';
import { isTrue } from '../../controller/status/conditions.js';
import { startAgent, type Agent } from './agent.js';
import { isCommitted } from './agent-target.js';
import { Api } from './api.js';
import { Controller } from './controller.js';
import { Faults } from './faults.js';
import { weaken, type Guard } from './guards.js';
import { startKubelet } from './kubelet.js';
import { Lease } from './lease.js';
import { Node } from './node.js';
import { Person } from './person.js';
import { Choices } from './random.js';
import { LIVENESS, LIVENESS_MS, MILESTONES, UNANNOUNCED_MS, type Schedule, type Setup } from './schedule.js';
import { Process, Scheduler, type Steps } from './scheduler.js';
import { Links } from './wire.js';

/** The rule that was broken, in a sentence. */
export class Violation extends Error {}

/**
 * What no program on the nodes can keep: the source's node lost its power while the source stood frozen, and its kubelet
 * started the source from its image before anybody could have known. Counted, and nothing after it is judged.
 */
export class KnownLimit extends Error {}

const SETTLE_MS = 200_000;
const LIMIT_MS = 25 * 60_000;
const MAX_STEPS = 40_000;

export class World {
  readonly choices: Choices;
  readonly scheduler: Scheduler;
  readonly setup: Setup;
  readonly api: Api;
  readonly links: Links;
  readonly lease: Lease;
  readonly faults: Faults;
  readonly person: Person;
  readonly nodes = new Map<string, Node>();
  readonly agents = new Map<string, Agent>();
  readonly controllers: Controller[] = [];
  readonly sourceNode = 'a';
  readonly targetNode: string;
  readonly sourcePod = 'pod-source';
  readonly truth = {
    /** Counts on whenever the source executes. */
    instructions: 0,
    /** Restored processes have executed. */
    restoredExecuted: false,
    /** Nodes that never come back. */
    lost: new Set<string>(),
    /** There is another pod of the source's name, which nobody may touch. */
    namesake: false,
    /** What a person has decided. */
    resolved: undefined as 'Source' | 'Target' | undefined,
  };
  /** What has happened, for telling that the schedules are not all the same. */
  readonly notes = new Set<string>();
  readonly history: string[] | undefined;
  #ids = 0;
  #started: number;
  #lastPointAt = 0;

  constructor(
    schedule: Schedule,
    private readonly without: Guard | undefined,
    options: { trace?: boolean } = {},
  ) {
    this.setup = schedule.setup;
    this.choices = new Choices(schedule.seed);
    this.targetNode = this.setup.sameNode ? 'a' : 'b';
    this.history = options.trace ? [] : undefined;
    this.scheduler = new Scheduler(
      this.choices,
      (_, task, putOff) => {
        this.#lastPointAt = this.now;
        return this.faults.before(task, putOff);
      },
      (task) => {
        if (!task.at.startsWith('.')) this.trace(`${task.process.name}: ${task.at}`);
        this.#check();
      },
    );
    this.#started = this.#lastPointAt = this.now;
    this.api = new Api(this);
    this.links = new Links(this);
    this.lease = new Lease(this);
    this.faults = new Faults(this, schedule.faults);
    this.person = new Person(this);
    this.#build();
  }

  get now(): number {
    return this.scheduler.now;
  }
  /** How long a container may stand still; undefined: for ever. */
  get patienceMs(): number | undefined {
    const { probe } = this.setup;
    return probe === 'none' ? undefined : probe === 'liveness' ? LIVENESS_MS : UNANNOUNCED_MS;
  }
  /** Milliseconds since boot, of any node. */
  get uptime(): number {
    return this.now - this.#started;
  }
  get leader(): Controller | undefined {
    return this.controllers.find(({ leads, process }) => leads && process.alive);
  }

  id(kind: string): string {
    return `${kind}-${++this.#ids}`;
  }
  node(name: string): Node {
    return this.nodes.get(name)!;
  }
  guarded(guard: Guard): boolean {
    return this.without !== guard;
  }
  guardObserved(observed: Observed): Observed {
    return weaken(observed, this.without);
  }
  note(what: string): void {
    this.notes.add(what);
    const milestone = MILESTONES.find((each) => each === what);
    if (milestone) this.faults.reach(milestone);
  }
  event(reason: string): void {
    this.notes.add(`event ${reason}`);
  }
  trace(text: string): void {
    this.history?.push(`${((this.now - this.#started) / 1000).toFixed(3)} ${text}`);
  }

  dumpersOf(node: Node, uid: string): Process[] {
    return this.scheduler.processes.filter(({ name }) => name === `dump ${uid} ${node.name}`);
  }
  restoresOf(node: Node, pod: string): Process[] {
    return this.scheduler.processes.filter(({ name }) => name === `restore ${pod} ${node.name}`);
  }

  // -------------------------------------------------------------------------------------------------------- trouble

  /** A process dies; what is to be there always is started again. */
  crash(process: Process): void {
    if (!process.alive) return;
    this.note(`${process.kind} died`);
    this.scheduler.kill(process);
    const later = 500 + 5000 * this.choices.next();
    const node = [...this.nodes.values()].find((each) => each.agent === process || each.kubelet === process);
    const controller = this.controllers.find((each) => each.process === process);
    this.#later(later, () => {
      if (controller) controller.start();
      else if (node?.up && node.agent === process) startAgent(this, node);
      else if (node?.up && node.kubelet === process) startKubelet(this, node);
    });
    // The runtime's calls are canceled with the kubelet; it may be too late for that.
    if (node?.kubelet === process && !this.choices.chance(0.3)) this.killHandlers(node);
  }

  killHandlers(node: Node): void {
    for (const each of this.scheduler.processes) {
      if (each.kind === 'handler' && each.name.endsWith(` ${node.name}`)) this.scheduler.kill(each);
    }
  }

  losePower(node: Node, backAfterMs: number | undefined): void {
    if (this.truth.lost.has(node.name)) return;
    if (backAfterMs === undefined) this.truth.lost.add(node.name);
    if (!node.up) return;
    this.note('a node lost power');
    for (const each of this.scheduler.processes) {
      const here = each === node.agent || each === node.kubelet || each.name.endsWith(` ${node.name}`);
      if (here && each.kind !== 'wire' && each.kind !== 'controller') this.scheduler.kill(each);
    }
    node.agent.alive = node.kubelet.alive = false;
    node.losePower();
    if (backAfterMs === undefined) return;
    this.#later(backAfterMs, () => {
      if (this.truth.lost.has(node.name)) return;
      node.up = true;
      node.boot += 1;
      startAgent(this, node);
      startKubelet(this, node);
    });
  }

  #later(ms: number, work: () => void): void {
    const { scheduler } = this;
    scheduler.spawn(
      new Process('world', 'later'),
      (function* (): Steps {
        yield { at: '.later', ms };
        work();
      })(),
      '.later',
    );
  }

  // ---------------------------------------------------------------------------------------------------------- rules

  /** After each step: never two, and nothing is done twice or lost. */
  #check(): void {
    const { truth } = this;
    let executing = 0;
    for (const node of this.nodes.values()) {
      for (const each of node.containers) {
        if (!node.executes(each)) continue;
        executing++;
        if (each.pod === this.sourcePod) {
          if (truth.restoredExecuted && truth.resolved !== 'Source')
            this.#broken('The source executes after the restored process did.');
          truth.instructions++;
        } else if (each.kind === 'plain') {
          if (!isCommitted(node.disk, each.pod)) this.#broken('The target starts from its image.');
        } else if (each.image && each.attempt >= 0) {
          if (truth.restoredExecuted) this.#broken('A second restored process executes.');
          if (!isCommitted(node.disk, each.pod)) this.#broken('A restored process executes without a claim.');
          if (!each.started)
            this.#broken('A restored process executes whose runtime would take it away if its handler died.');
          if (!this.api.accepted.has(each.image.container))
            this.#broken('Another process was moved than the accepted one.');
          if (each.image.instructions !== truth.instructions)
            this.#broken(
              'The restored state is older than the source.',
              each.image.takenAtBoot !== each.image.boot,
            );
          truth.restoredExecuted = true;
          delete each.image;
        }
      }
    }
    if (executing > 1) this.#broken('Two copies execute.');
  }

  /**
   * A source whose node was started anew has lost its state and its freeze with it. What the target has taken from there
   * before cannot know; what it takes later must.
   */
  #broken(rule: string, takenAfterReboot = false): void {
    if (this.node(this.sourceNode).boot > 1 && !takenAfterReboot) throw new KnownLimit(rule);
    throw new Violation(rule);
  }

  /** When all is quiet: somebody runs, nothing stands still, every migration has ended or says that it is stuck. */
  checkEnd(): void {
    for (const { metadata, status } of this.api.migrations.values()) {
      const ended = status?.phase === 'Succeeded' || status?.phase === 'Failed';
      if (!ended && !isTrue(status?.conditions, 'Stuck'))
        throw new Violation(
          `Migration ${metadata.name} neither ends nor says that it is stuck (${status?.phase}).`,
        );
    }
    const namesake = this.api.podByUid('pod-namesake');
    if (this.truth.namesake && (!namesake || namesake.metadata.deletionTimestamp))
      throw new Violation('Another pod of the same name was deleted.');
    const stuck = this.person.stuck;
    if (stuck) this.note('stuck at the end');
    const nodes = [...this.nodes.values()].filter(({ up }) => up);
    const executing = nodes.flatMap((node) => node.containers.filter((each) => node.executes(each)));
    const frozen = nodes.some(
      (node) =>
        node.containers.some((each) => each.state === 'running' && node.isFrozen(each)) ||
        [...node.sandboxes.values()].some(({ fence }) => fence),
    );
    if (frozen && !stuck)
      throw new Violation('Something stands frozen, and no migration says that it is stuck.');
    if (executing.length > 0 || stuck) return;
    if (this.truth.lost.size > 0 || this.person.deleted.size > 0) {
      this.note('nothing runs, by what happened outside');
      return;
    }
    throw new Violation('Nothing executes.');
  }

  /** Runs to the end. */
  run(): void {
    try {
      this.#run();
    } catch (error) {
      if (!(error instanceof KnownLimit)) throw error;
      this.note(`known limit: ${error.message}`);
    }
  }

  #run(): void {
    for (;;) {
      if (this.scheduler.steps > MAX_STEPS) throw new Violation('It never comes to rest.');
      const quiet = Math.max(this.#lastPointAt, this.faults.lastAt);
      if (this.now > quiet + SETTLE_MS && this.#ended) break;
      if (this.now > this.faults.lastAt + LIMIT_MS && this.now > this.#started + LIMIT_MS) break;
      if (!this.scheduler.step(quiet + 2 * SETTLE_MS)) {
        if (this.#ended || this.now > quiet + SETTLE_MS) break;
        this.scheduler.now = quiet + 2 * SETTLE_MS;
      }
    }
    this.checkEnd();
  }

  get #ended(): boolean {
    return [...this.api.migrations.values()].every(
      (each) => isFinal(each) || isTrue(each.status?.conditions, 'Stuck'),
    );
  }

  // ---------------------------------------------------------------------------------------------------------- start

  #build(): void {
    const { setup } = this;
    this.nodes.set('a', new Node(this, 'a', setup.sourceCgroup));
    this.nodes.set('b', new Node(this, 'b', setup.targetCgroup));
    const source = this.node('a');
    source.sandboxes.set(this.sourcePod, { pod: this.sourcePod, fence: false, stopping: false });
    const container = source.create(this.sourcePod, 'plain');
    container.state = 'running';
    container.started = true;
    const pod = aPod((each) => {
      each.metadata.uid = this.sourcePod;
      each.spec.nodeName = 'a';
      if (setup.probe === 'liveness') each.spec.containers[0]!.livenessProbe = LIVENESS;
      each.status.containerStatuses![0]!.containerID = `containerd://${container.id}`;
    });
    this.api.createPod(pod, this.sourcePod);
    this.api.patchPodStatus(this.sourcePod, pod.status!);
    for (const node of this.nodes.values()) {
      startAgent(this, node);
      startKubelet(this, node);
    }
    for (let number = 1; number <= setup.controllers; number++) {
      this.controllers.push(new Controller(this, `controller-${number}`));
    }
    for (const each of this.controllers) each.start();
    this.person.migrate();
    this.scheduler.spawn(new Process('world', 'person'), this.person.resolve(), '.person');
    if (setup.again) {
      this.scheduler.spawn(new Process('world', 'person'), this.person.tryAgain(), '.person');
    }
  }
}
