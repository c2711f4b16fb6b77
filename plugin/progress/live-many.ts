import type { Terminal } from '../terminal.js';
import { LiveLines } from './live-lines.js';
import { Board, type Ending, type ManyDisplay, type Undertaking } from './many.js';

/** The board, drawn again and again: its head counts, its lines name those that are under way. */
export class LiveMany implements ManyDisplay {
  readonly #board: Board;
  readonly #lines: LiveLines;

  constructor(terminal: Terminal, what: Undertaking) {
    this.#board = new Board(what);
    this.#lines = new LiveLines(terminal, this.#board);
  }

  say(key: string, text: string): void {
    this.#board.say(key, text);
  }

  end(key: string, how: Ending, text: string): void {
    this.#board.end(key, how, text);
  }

  note(text: string): void {
    this.#board.note(text);
  }

  close(): Promise<void> {
    return this.#lines.close();
  }
}
