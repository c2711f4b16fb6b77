import { setTimeout as later } from 'node:timers/promises';
import type { PodMigration } from '../../common/api/schema.js';
import { keyOf, ListWatch } from '../../common/kube/list-watch.js';
import { requireInstalled } from '../checks/installed.js';
import { EXIT, type ExitCode } from '../exit-code.js';
import type { KubeFlags } from '../flags.js';
import type { Invocation } from '../invocation.js';
import { ControllerClock } from '../progress/clock.js';
import { stepText } from '../progress/migration.js';
import { News } from '../progress/plain.js';
import { isOver } from '../progress/stuck.js';
import { TopBoard } from './board.js';

export interface TopWish {
  allNamespaces: boolean;
  once: boolean;
  plain: boolean;
}

export async function top(invocation: Invocation, flags: KubeFlags, wish: TopWish): Promise<ExitCode> {
  const terminal = invocation.terminal(wish);
  const { client, namespace } = await invocation.connect(flags);
  await requireInstalled(client);
  const where = wish.allNamespaces ? {} : { namespace };
  // Also tells at once what cannot be asked; watching would ask again and again.
  const { items } = await client.podMigrations.list(where);
  const clock = new ControllerClock();
  const board = new TopBoard(wish.allNamespaces, () => clock.read());
  for (const migration of items) board.update(keyOf(migration), migration);
  if (wish.once) {
    const lines = board.lines(Infinity, Infinity);
    if (lines.length === 0) terminal.err(board.head);
    else terminal.out(lines.join('\n'));
    return EXIT.done;
  }
  const show = terminal.live ? undefined : plainly(terminal.err, () => clock.read());
  const drawn = terminal.live
    ? new (await import('../progress/live-lines.js')).LiveLines(terminal, board)
    : undefined;
  const watching = new ListWatch<PodMigration>(client.podMigrations, {
    ...where,
    onChange: (key, migration) => {
      clock.see((migration?.status?.phaseTransitions ?? []).map(({ transitionTime }) => transitionTime));
      board.update(key, migration);
      board.note('');
      show?.(key, migration);
    },
    onError: (message) => (drawn ? board.note(`note: ${message}`) : terminal.err(`note: ${message}`)),
  }).start();
  try {
    await until(invocation.detach.signal);
  } finally {
    await drawn?.close();
    void watching.stop();
  }
  // To leave is how it ends: nothing was begun here that goes on.
  return EXIT.done;
}

/** Keeps the process alive until the person leaves. */
async function until(signal: AbortSignal): Promise<void> {
  while (!signal.aborted) await later(60_000, undefined, { signal }).catch(() => {});
}

/** A line for each thing that is new, with the time and of which migration. */
function plainly(write: (line: string) => void, now: () => number) {
  const news = new Map<string, News>();
  return (key: string, migration: PodMigration | undefined): void => {
    const known = news.get(key);
    if (!migration || migration.spec.preflightOnly) {
      if (known) write(`${new Date().toISOString()} ${key}: deleted`);
      news.delete(key);
      return;
    }
    // What had ended before we began to look is no news.
    if (!known && isOver(migration.status ?? {})) return;
    const teller = known ?? new News((object, at) => stepText((object as PodMigration).status ?? {}, at));
    news.set(key, teller);
    for (const line of teller.of(migration, now())) write(`${new Date().toISOString()} ${key}: ${line}`);
  };
}
