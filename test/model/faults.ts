/** Lets the faults of a schedule strike, each at its point. */
import { endAgent } from './agent.js';
import type { Fault, FaultKind, Milestone } from './schedule.js';
import type { Stepped } from './scheduler.js';
import type { World } from './world.js';

interface Waiting {
  fault: Fault;
  /** Points that had been passed when its milestone was reached. */
  since: number | undefined;
}

export class Faults {
  readonly #left: Waiting[];
  /** How much later each next message arrives a second time. */
  readonly #duplicates: number[] = [];
  #lostAnswers = 0;
  #criuFailures = 0;
  /** When the last one struck or the last trouble of it ends. */
  lastAt = 0;
  readonly struck: FaultKind[] = [];

  constructor(
    private readonly world: World,
    faults: readonly Fault[],
  ) {
    this.#left = faults.map((fault) => ({ fault, since: undefined }));
    this.reach('the migration begins');
    if (this.#left[0]?.fault.since === 'before') this.#left[0].since = 0;
  }

  /** Before each point: whether what was about to happen happens now. */
  before(task: Stepped, putOff: (ms: number) => void): boolean {
    for (;;) {
      const { points } = this.world.scheduler;
      const index = this.#left.findIndex(
        ({ fault, since }) => since !== undefined && points >= since + fault.after,
      );
      if (index < 0) return true;
      const [{ fault }] = this.#left.splice(index, 1) as [Waiting];
      const next = this.#left[index];
      if (next?.fault.since === 'before') next.since = points;
      this.struck.push(fault.kind);
      this.lastAt = Math.max(this.lastAt, this.world.now + fault.ms);
      this.world.trace(`FAULT ${fault.kind} ${fault.ms}`);
      if (!this.#strike(fault, task, putOff)) return false;
      if (!task.process.alive) return false;
    }
  }

  /** From here on those are counted that wait for it. */
  reach(milestone: Milestone): void {
    const points = this.world.scheduler?.points ?? 0;
    for (const each of this.#left) if (each.fault.since === milestone) each.since ??= points;
  }

  duplicates(): number | undefined {
    return this.#duplicates.shift();
  }
  losesAnswer(): boolean {
    return this.#lostAnswers > 0 && this.#lostAnswers-- > 0;
  }
  criuFails(): boolean {
    return this.#criuFailures > 0 && this.#criuFailures-- > 0;
  }

  /** False when the task was put off. */
  #strike({ kind, ms }: Fault, { process }: Stepped, putOff: (ms: number) => void): boolean {
    const { world } = this;
    const { links, now, sourceNode, targetNode } = world;
    const source = world.node(sourceNode);
    const target = world.node(targetNode);
    const cut = (one: string, other: string): void => links.cut(one, other, now + ms);
    switch (kind) {
      case 'late':
        putOff(ms);
        return false;
      case 'stall':
        if (process.kind !== 'world') process.stalledUntil = now + ms;
        return true;
      case 'crash':
        if (process.kind !== 'world') world.crash(process);
        return true;
      case 'duplicate':
        this.#duplicates.push(ms);
        return true;
      case 'lose an answer of the API server':
        this.#lostAnswers++;
        return true;
      case 'cut controller and API server':
        if (world.leader) cut(world.leader.name, 'api');
        return true;
      case 'cut controller and source':
        for (const each of world.controllers) cut(each.name, sourceNode);
        return true;
      case 'cut controller and target':
        for (const each of world.controllers) cut(each.name, targetNode);
        return true;
      case 'cut source and target':
        cut(sourceNode, targetNode);
        return true;
      case 'cut source and API server':
        cut(sourceNode, 'api');
        return true;
      case 'cut target and API server':
        cut(targetNode, 'api');
        return true;
      case 'source loses power':
        world.losePower(source, Math.max(ms, 30_000));
        return true;
      case 'target loses power':
        world.losePower(target, Math.max(ms, 30_000));
        return true;
      case 'source is lost':
        world.losePower(source, undefined);
        return true;
      case 'target is lost':
        world.losePower(target, undefined);
        return true;
      case 'kubelet of the source dies':
        world.crash(source.kubelet);
        return true;
      case 'kubelet of the target dies':
        world.crash(target.kubelet);
        return true;
      case 'runtime of the target restarts':
        world.killHandlers(target);
        return true;
      case 'agent of the source dies':
        world.crash(source.agent);
        return true;
      case 'agent of the target dies':
        world.crash(target.agent);
        return true;
      case 'agent of the source is replaced':
        endAgent(world, sourceNode);
        return true;
      case 'agent of the target is replaced':
        endAgent(world, targetNode);
        return true;
      case 'controller dies':
        if (world.leader) world.crash(world.leader.process);
        return true;
      case 'controller stands still':
        if (world.leader) world.leader.process.stalledUntil = now + ms;
        return true;
      case 'CRIU fails':
        this.#criuFailures++;
        return true;
      case 'the source is killed':
        for (const each of source.running(world.sourcePod)) source.kill(each);
        return true;
      case 'migration is touched':
        world.person.touch();
        return true;
      case 'migration is deleted':
        world.person.deleteMigration();
        return true;
      case 'migration is cancelled':
        world.person.cancel();
        return true;
      case 'source pod is deleted':
        world.person.deleteSource(false);
        return true;
      case 'source pod is force-deleted':
        world.person.deleteSource(true);
        return true;
      case 'source pod is replaced':
        world.person.replaceSource();
        return true;
      case 'target pod is deleted':
        world.person.deleteTarget(false);
        return true;
      case 'target pod is force-deleted':
        world.person.deleteTarget(true);
        return true;
      default:
        return kind satisfies never;
    }
  }
}
