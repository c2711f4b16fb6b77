/** The migrations that are going on, as a table that changes. Pure but for the clocks that it is given. */
import type { PodMigration } from '../../common/api/schema.js';
import { cut } from '../progress/lines.js';
import { frozenFor } from '../progress/migration.js';
import { isOver, stuckOf, wasCanceled } from '../progress/stuck.js';
import { paint, type Paint } from '../terminal.js';
import { share, size } from '../text/bytes.js';
import { stopwatch } from '../text/duration.js';
import { layOut, type Cells } from './layout.js';

/** One that has ended is shown for so long. */
const LINGER_MS = 10_000;

type Brush = Paint['red'];

export class TopBoard {
  readonly #migrations = new Map<string, PodMigration>();
  /** By key: when it was seen to have ended, by our clock. */
  readonly #ended = new Map<string, number>();
  #note = '';

  constructor(
    private readonly allNamespaces: boolean,
    /** Milliseconds since the epoch by the controller's clock, and by our own. */
    private readonly controllerNow: () => number,
    private readonly now: () => number = Date.now,
  ) {}

  /** A migration as it has come in; undefined when it is gone. */
  update(key: string, migration: PodMigration | undefined): void {
    const known = this.#migrations.has(key);
    if (!migration || migration.spec.preflightOnly) {
      this.#migrations.delete(key);
      this.#ended.delete(key);
    } else if (!isOver(migration.status ?? {})) this.#migrations.set(key, migration);
    else if (known) {
      // What had ended before we began to look is no news.
      this.#migrations.set(key, migration);
      if (!this.#ended.has(key)) this.#ended.set(key, this.now());
    }
  }

  note(text: string): void {
    this.#note = text;
  }

  get head(): string {
    const running = this.#shown().filter(([key]) => !this.#ended.has(key)).length;
    if (running === 0) return 'No migration is going on.';
    return running === 1 ? 'One migration is going on.' : `${running} migrations are going on.`;
  }

  /** A row for each in at most `height` lines of `width` cells, and what else there is to say. */
  lines(width: number, height: number, { bold, red, yellow, green }: Paint = paint(false)): string[] {
    const shown = this.#shown();
    const note = this.#note ? [`${yellow(cut(this.#note, width))}`] : [];
    if (shown.length === 0) return note;
    const room = Math.max(1, height - 1 - note.length);
    const fit = shown.length <= room ? shown : shown.slice(0, Math.max(1, room - 1));
    const [head = '', ...rows] = layOut(
      fit.map(([, migration]) => this.#row(migration)),
      width,
    );
    const brushes = { Stuck: red, Failed: red, Canceled: yellow, Succeeded: green } as Record<string, Brush>;
    return [
      `${bold(head)}`,
      ...rows.map((row, index) => `${brushes[phase(fit[index]![1])]?.(row) ?? row}`),
      ...(fit.length < shown.length ? [`… and ${shown.length - fit.length} more`] : []),
      ...note,
    ];
  }

  #shown(): [string, PodMigration][] {
    for (const [key, at] of this.#ended) {
      if (this.now() - at < LINGER_MS) continue;
      this.#ended.delete(key);
      this.#migrations.delete(key);
    }
    const began = ({ metadata }: PodMigration) => metadata.creationTimestamp ?? '';
    return [...this.#migrations].sort(([a, one], [b, other]) =>
      `${began(one)} ${a}` < `${began(other)} ${b}` ? -1 : 1,
    );
  }

  #row(migration: PodMigration): Cells {
    const { metadata, spec, status = {} } = migration;
    const now = this.controllerNow();
    const from = Date.parse(status.startTime ?? metadata.creationTimestamp ?? '');
    const to = isOver(status) ? Date.parse(status.completionTime ?? '') : now;
    return {
      ...(this.allNamespaces ? { NAMESPACE: metadata.namespace ?? '' } : {}),
      NAME: metadata.name,
      POD: spec.podName,
      FROM: status.sourceNode ?? '-',
      TO: status.targetNode ?? spec.targetNode ?? '-',
      PHASE: phase(migration),
      ELAPSED: Number.isNaN(to - from) ? '-' : stopwatch(to - from),
      MOVED: moved(status),
      RATE: rate(status, now),
      FROZEN: frozen(status, now),
    };
  }
}

type Status = NonNullable<PodMigration['status']>;

function phase(migration: PodMigration): string {
  if (stuckOf(migration)) return 'Stuck';
  if (wasCanceled(migration)) return 'Canceled';
  return migration.status?.phase ?? 'Pending';
}

function moved({ progress, bytesTransferred }: Status): string {
  if (progress?.bytesTotal || progress?.bytesDone) return share(progress.bytesDone ?? 0, progress.bytesTotal);
  return bytesTransferred === undefined ? '-' : size(bytesTransferred);
}

function rate({ progress }: Status, now: number): string {
  const seconds = (now - Date.parse(progress?.since ?? '')) / 1000;
  const done = progress?.bytesDone ?? 0;
  return done > 0 && seconds > 0.2 ? `${size(done / seconds)}/s` : '-';
}

/** While it is frozen for how long, afterwards how long it was. */
function frozen(status: Status, now: number): string {
  const ms = frozenFor(status, now) ?? status.downtimeMilliseconds;
  return ms === undefined ? '-' : stopwatch(ms);
}
