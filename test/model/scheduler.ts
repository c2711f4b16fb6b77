/**
 * Virtual time and what runs in it. A process is a set of tasks; a task is a generator that gives way at every point at which
 * something else may come between or its process may die. What stands between two such points happens at once.
 */
import type { Choices } from './random.js';

export interface Wait {
  /** Name of the point; one that begins with a dot is routine, where no fault strikes. */
  at: string;
  /** Milliseconds until it goes on. */
  ms?: number;
  /** Instead: goes on as soon as this holds... */
  until?: () => boolean;
  /** ...or after so long. */
  timeoutMs?: number;
}

export type Steps<T = void> = Generator<Wait, T, void>;

export class Process {
  alive = true;
  /** Stands still until then, with everything in it (a machine that was suspended). */
  stalledUntil = 0;

  constructor(
    readonly kind: 'controller' | 'agent' | 'handler' | 'criu' | 'kubelet' | 'wire' | 'world',
    readonly name: string,
  ) {}
}

interface Task {
  process: Process;
  steps: Steps;
  wait: Wait;
  due: number;
  order: number;
  /** After its process stood still, tasks do not all go on in the same instant. */
  lag: number;
}

export interface Stepped {
  process: Process;
  at: string;
}

export class Scheduler {
  now = Date.parse('2030-01-01T00:00:00Z');
  /** Points passed at which a fault could have struck. */
  points = 0;
  steps = 0;
  readonly #tasks = new Set<Task>();
  #order = 0;

  constructor(
    private readonly choices: Choices,
    /** Called before each point; false: the task does not go on now (it was put off or killed). */
    private readonly before: (scheduler: Scheduler, task: Stepped, putOff: (ms: number) => void) => boolean,
    private readonly after: (task: Stepped) => void,
  ) {}

  spawn(process: Process, steps: Steps, at = 'spawned'): void {
    this.#add(process, steps, { at, ms: 0 });
  }

  kill(process: Process): void {
    process.alive = false;
    for (const task of this.#tasks) if (task.process === process) this.#tasks.delete(task);
  }

  /** Processes that live and have something to do. */
  get processes(): Process[] {
    return [...new Set([...this.#tasks].map(({ process }) => process))];
  }

  /** Runs the next step; false when there is none before the given time. */
  step(end: number): boolean {
    const task = this.#next();
    if (!task || task.due > end) return false;
    this.now = Math.max(this.now, task.due);
    const { process, wait } = task;
    if (!wait.at.startsWith('.')) {
      this.points++;
      let delay = 0;
      if (!this.before(this, { process, at: wait.at }, (ms) => (delay = ms))) {
        if (delay > 0) {
          task.wait = { at: wait.at, ms: delay };
          task.due = this.now + delay;
        }
        return true;
      }
      if (!process.alive) return true;
    }
    this.steps++;
    this.#tasks.delete(task);
    const next = task.steps.next();
    if (!next.done && process.alive) this.#add(process, task.steps, next.value);
    this.after({ process, at: wait.at });
    return true;
  }

  #add(process: Process, steps: Steps, wait: Wait): void {
    const due =
      wait.until === undefined
        ? this.now + this.#jitter(wait.ms ?? 0)
        : wait.timeoutMs === undefined
          ? Infinity
          : this.now + wait.timeoutMs;
    this.#tasks.add({ process, steps, wait, due, order: this.#order++, lag: 300 * this.choices.next() });
  }

  /** Nothing takes as long as expected: half to one and a half times, and now and then far longer. */
  #jitter(ms: number): number {
    const factor = 0.5 + this.choices.next();
    return ms * factor + (this.choices.chance(0.02) ? 50 * this.choices.next() : 0);
  }

  #next(): Task | undefined {
    let best: Task | undefined;
    let bestDue = Infinity;
    for (const task of this.#tasks) {
      let { due } = task;
      if (task.wait.until && due > this.now && task.wait.until()) due = this.now;
      if (due < task.process.stalledUntil) due = task.process.stalledUntil + task.lag;
      if (due < bestDue || (due === bestDue && best && task.order < best.order)) {
        best = task;
        bestDue = due;
      }
    }
    if (best && bestDue !== best.due) best.due = bestDue;
    return best;
  }
}
