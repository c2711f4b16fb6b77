import type { Condition } from '../../common/api/schema.js';
import type { Display } from './display.js';
import { stopwatch } from '../text/duration.js';
import { decisions, isOver, secondsTime, stuckOf } from './stuck.js';
import type { Worked } from './view.js';

type Reported = Worked & {
  status?: {
    conditions?: Condition[];
    warnings?: string[];
    frozenAt?: string;
    downtimeMilliseconds?: number;
  };
};

/** Conditions that are an answer to a person, also when it is no. */
const ANSWERS = ['Canceled', 'Resolved'];
/** Progress of a step is said again after this many milliseconds. */
const STEP_EVERY_MS = 2000;

/** Turns one state after another into lines that tell what is new. Holds what it has said, touches nothing else. */
export class News {
  #phases = 0;
  readonly #said = new Set<string>();
  #message = '';
  #stuckWith = '';
  #stepAt = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly step: (object: Reported, now: number) => string | undefined = () => undefined,
  ) {}

  /** `now` in milliseconds by the controller's clock. */
  of(object: Reported, now: number): string[] {
    const status = object.status ?? {};
    const lines: string[] = [];
    const transitions = status.phaseTransitions ?? [];
    const fresh = transitions.slice(this.#phases);
    this.#phases = transitions.length;
    fresh.forEach(({ phase, transitionTime }, index) => {
      const before = transitions[transitions.length - fresh.length + index - 1];
      const took = before
        ? ` (${before.phase} took ${stopwatch(Date.parse(transitionTime) - Date.parse(before.transitionTime))})`
        : '';
      const news =
        index === fresh.length - 1 && status.message !== this.#message ? status.message : undefined;
      if (news !== undefined) this.#message = news;
      lines.push(`${phase}${news ? `: ${news}` : ''}${took}`);
      this.#stepAt = Number.NEGATIVE_INFINITY;
    });
    lines.push(...this.#stuck(object));
    // Conditions that are True have been reached; False and Unknown ones are on their way or tell of a failure at the end.
    for (const { type, status: truth, message } of status.conditions ?? []) {
      // The lines below the first are a log: `status` shows them.
      const [said = ''] = message.split('\n');
      const news = truth === 'True' || ANSWERS.includes(type);
      if (type !== 'Stuck' && news && said !== '' && !status.message?.includes(said)) {
        this.#once(lines, `${type}:${said}`, `${type}: ${said}`);
      }
    }
    if (status.message && status.message !== this.#message) {
      this.#message = status.message;
      lines.push(status.message);
    }
    if (status.frozenAt) this.#once(lines, `frozen:${status.frozenAt}`, 'the pod is frozen');
    for (const warning of status.warnings ?? []) this.#once(lines, warning, `warning: ${warning}`);
    const step = this.step(object, now);
    if (step && now - this.#stepAt >= STEP_EVERY_MS) {
      this.#once(lines, `step:${step}`, step);
      this.#stepAt = now;
    }
    return lines;
  }

  /** That it is stuck is said when it begins, when it ends, and when something else keeps it from going on. */
  #stuck(object: Reported): string[] {
    const stuck = stuckOf(object);
    const key = stuck ? `${stuck.what}\n${stuck.check}` : '';
    if (key === this.#stuckWith) return [];
    this.#stuckWith = key;
    if (!stuck) return isOver(object.status ?? {}) ? [] : ['no longer stuck'];
    const since = Number.isNaN(stuck.since) ? '' : ` since ${secondsTime(stuck.since)}`;
    // Said here, so not once more as the message.
    if (object.status?.message === stuck.what) this.#message = stuck.what;
    return [
      `stuck${since}: ${stuck.what}`,
      ...(stuck.check ? [`check: ${stuck.check}`] : []),
      ...decisions(object, stuck.sides).map((line) => `decide: ${line}`),
    ];
  }

  #once(lines: string[], key: string, line: string): void {
    if (this.#said.has(key)) return;
    this.#said.add(key);
    lines.push(line);
  }
}

/** Lines with the time in front, for logs, pipes and terminals that cannot draw. */
export class PlainDisplay<T extends Reported> implements Display<T> {
  readonly #news: News;

  constructor(
    private readonly write: (line: string) => void,
    /** Milliseconds since the epoch by the controller's clock. */
    private readonly now: () => number,
    step?: (object: T, now: number) => string | undefined,
  ) {
    this.#news = new News(step as ConstructorParameters<typeof News>[0]);
  }

  update(object: T): void {
    for (const line of this.#news.of(object, this.now())) this.#say(line);
  }

  note(text: string): void {
    this.#say(`note: ${text}`);
  }

  end(): Promise<void> {
    return Promise.resolve();
  }

  #say(line: string): void {
    this.write(`${new Date().toISOString()} ${line}`);
  }
}
