import { createInterface } from 'node:readline';
import { CliError } from '../cli-error.js';

export interface Asked {
  input: NodeJS.ReadStream;
  output: NodeJS.WriteStream;
  /** Aborted by Ctrl-C. */
  signal: AbortSignal;
}

/** Reads one line from the terminal; undefined when there is none (Ctrl-D) or the person left. */
export function ask(question: string, { input, output, signal }: Asked): Promise<string | undefined> {
  return new Promise((resolve) => {
    // The terminal itself edits the line and turns Ctrl-C into a signal.
    const lines = createInterface({ input, terminal: false });
    const leave = () => lines.close();
    signal.addEventListener('abort', leave, { once: true });
    let answer: string | undefined;
    lines.once('line', (line) => {
      answer = line.trim();
      lines.close();
    });
    lines.once('close', () => {
      signal.removeEventListener('abort', leave);
      // A terminal that is still read from would keep the program alive.
      input.pause();
      if (answer === undefined) output.write('\n');
      resolve(answer);
    });
    output.write(question);
  });
}

/** Throws CliError unless the answer is the word that was asked for or `yes`. */
export function judgeAnswer(answer: string | undefined, word: string): void {
  if (answer === word || answer === 'yes') return;
  throw new CliError(
    answer ? `"${answer}" is neither "${word}" nor "yes"; nothing was changed.` : 'Nothing was changed.',
  );
}
