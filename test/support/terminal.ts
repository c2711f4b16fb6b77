/** Real terminals for tests: each is a tmux server of its own, without anybody's settings. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);
let opened = 0;

export interface TestTerminal {
  /** What is to be seen; `-e` keeps the colours as escape sequences. */
  screen(...flags: string[]): Promise<string>;
  /** What was seen last. */
  last(): string;
  /** A key by tmux' name: `Enter`, `C-c`. */
  press(key: string): Promise<unknown>;
  /** Characters as they are. */
  type(text: string): Promise<unknown>;
  /** As somebody who drags the corner of its window. */
  resize(columns: number, rows: number): Promise<unknown>;
  /** What tmux knows of it (tmux(1), FORMATS): `#{alternate_on}`. */
  ask(format: string): Promise<string>;
  close(): Promise<unknown>;
}

/** @param script what sh runs in it */
export async function openTerminal(
  script: string,
  { columns = 80, rows = 30 }: { columns?: number; rows?: number } = {},
): Promise<TestTerminal> {
  const socket = `lpm-test-${process.pid}-${++opened}`;
  const tmux = (...args: string[]) => run('tmux', ['-L', socket, '-f', '/dev/null', ...args]);
  await tmux('new-session', '-d', '-x', String(columns), '-y', String(rows), 'sh', '-c', script);
  let last = '';
  return {
    screen: async (...flags) =>
      (last = (await tmux('capture-pane', '-p', ...flags)).stdout.replace(/\s+$/, '')),
    last: () => last,
    press: (key) => tmux('send-keys', key),
    type: (text) => tmux('send-keys', '-l', text),
    resize: (toColumns, toRows) => tmux('resize-window', '-x', String(toColumns), '-y', String(toRows)),
    ask: async (format) => (await tmux('display-message', '-p', format)).stdout.trim(),
    // Only this server, by its own socket.
    close: () => tmux('kill-server').catch(() => {}),
  };
}
