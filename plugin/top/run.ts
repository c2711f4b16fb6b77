import { setTimeout as later } from 'node:timers/promises';
import type { PodMigration } from '../../common/api/schema.js';
import { keyOf, ListWatch } from '../../common/kube/list-watch.js';
import { requireInstalled } from '../checks/installed.js';
import { EXIT, type ExitCode } from '../exit-code.js';
import type { KubeFlags } from '../flags.js';
import type { Invocation } from '../invocation.js';
import { ControllerClock } from '../progress/clock.js';
import { cut } from '../progress/lines.js';
import { stepText } from '../progress/migration.js';
import { News } from '../progress/plain.js';
import { isOver } from '../progress/stuck.js';
import { paint } from '../terminal.js';
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
  const say = (text: string) => terminal.err(`${new Date().toISOString()} ${text}`);
  const show = terminal.live ? undefined : plainly(say, () => clock.read());
  if (show) say(board.head);
  const brushes = paint(terminal.color);
  const drawn = terminal.live
    ? new (await import('../progress/full-screen.js')).FullScreen(terminal, (width, height) => [
        cut(board.head, width),
        '',
        ...board.lines(width, height - 2, brushes),
      ])
    : undefined;
  let lost = false;
  const watching = new ListWatch<PodMigration>(client.podMigrations, {
    ...where,
    onChange: (key, migration) => {
      clock.see((migration?.status?.phaseTransitions ?? []).map(({ transitionTime }) => transitionTime));
      board.update(key, migration);
      show?.(key, migration);
    },
    listAfterError: true,
    backoff: { initialMs: 250, maxMs: 5000 },
    onListed: () => {
      if (lost && show) say('The API server answers again.');
      lost = false;
      board.note('');
    },
    onError: (message) => {
      // Once, and not again at each try.
      if (!lost && show) say(`${message} Trying again.`);
      lost = true;
      board.note(`${message} Trying again; the migrations go on.`);
    },
  }).start();
  try {
    await until(invocation.detach.signal);
  } finally {
    drawn?.close();
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
      if (known) write(`${key}: deleted`);
      news.delete(key);
      return;
    }
    // What had ended before we began to look is no news.
    if (!known && isOver(migration.status ?? {})) return;
    const teller = known ?? new News((object, at) => stepText((object as PodMigration).status ?? {}, at));
    news.set(key, teller);
    for (const line of teller.of(migration, now())) write(`${key}: ${line}`);
  };
}
