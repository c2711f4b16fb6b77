/** Several objects that are worked on at the same time, so that their progress stays readable. */
import type { Terminal } from '../terminal.js';
import { cut } from './lines.js';

export type Ending = 'done' | 'failed' | 'left';

export interface ManyDisplay {
  /** What is going on with one of them; the first call begins it. */
  say(key: string, text: string): void;
  end(key: string, how: Ending, text: string): void;
  note(text: string): void;
  /** Leaves the terminal clean. */
  close(): Promise<void>;
}

/** What there is to do, and the words for it: `Draining k8s-worker`. */
export interface Undertaking {
  title: string;
  total: number;
}

/** Shows it in the way that the terminal allows: a few lines that are drawn again, else a line for each change. */
export async function manyDisplay(terminal: Terminal, what: Undertaking): Promise<ManyDisplay> {
  if (!terminal.live) return new PlainMany(terminal.err);
  const { LiveMany } = await import('./live-many.js');
  return new LiveMany(terminal, what);
}

/** What is drawn: pure, so that it can be tested at any width. */
export class Board {
  readonly #active = new Map<string, { text: string; since: number }>();
  readonly #counts = { done: 0, failed: 0, left: 0 };
  readonly #recent: { key: string; how: Ending; text: string }[] = [];
  readonly #notes: string[] = [];

  constructor(
    private readonly what: Undertaking,
    private readonly now: () => number = Date.now,
  ) {}

  say(key: string, text: string): void {
    this.#active.set(key, { text, since: this.#active.get(key)?.since ?? this.now() });
  }

  end(key: string, how: Ending, text: string): void {
    this.#active.delete(key);
    this.#counts[how] += 1;
    this.#recent.push({ key, how, text });
  }

  note(text: string): void {
    this.#notes.push(text);
  }

  /** `Draining k8s-worker: 3 of 30 done, 1 failed, 4 under way` */
  get head(): string {
    const { done, failed, left } = this.#counts;
    const parts = [
      `${done} of ${this.what.total} done`,
      ...(failed > 0 ? [`${failed} failed`] : []),
      ...(left > 0 ? [`${left} left`] : []),
      ...(this.#active.size > 0 ? [`${this.#active.size} under way`] : []),
    ];
    return `${this.what.title}: ${parts.join(', ')}`;
  }

  /** Those that are under way, the last that ended, and notes: at most `height` lines of `width` cells. */
  lines(width: number, height: number): string[] {
    const active = [...this.#active].map(([key, { text, since }]) => {
      const seconds = `${((this.now() - since) / 1000).toFixed(1)}s`;
      const line = cut(`${key}  ${text}`, width - seconds.length - 2);
      return `${line.padEnd(width - seconds.length - 1)}${seconds}`;
    });
    const ended = this.#recent.map(({ key, how, text }) =>
      cut(`${how === 'done' ? 'done' : how}: ${key}  ${text}`, width),
    );
    const notes = this.#notes.map((text) => cut(`note: ${text}`, width));
    const room = Math.max(0, height - Math.min(active.length, height) - notes.length);
    const shown = [...(room > 0 ? ended.slice(-room) : []), ...active, ...notes];
    return shown.slice(0, height);
  }
}

/** For logs, pipes and screen readers: each line says when, of what, and what is new. */
class PlainMany implements ManyDisplay {
  readonly #said = new Map<string, string>();

  constructor(private readonly write: (line: string) => void) {}

  say(key: string, text: string): void {
    if (this.#said.get(key) === text) return;
    this.#said.set(key, text);
    this.#line(`${key}: ${text}`);
  }

  end(key: string, how: Ending, text: string): void {
    this.#line(`${key}: ${how}${text ? `: ${text}` : ''}`);
  }

  note(text: string): void {
    this.#line(`note: ${text}`);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #line(text: string): void {
    this.write(`${new Date().toISOString()} ${text}`);
  }
}
