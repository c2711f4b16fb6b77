/** The migrations that are going on, as a table that changes. Pure but for the clocks that it is given. */
import type { PodMigration } from '../../common/api/schema.js';
import { cut } from '../progress/lines.js';
import { frozenFor } from '../progress/migration.js';
import { isOver, stuckOf, wasCanceled } from '../progress/stuck.js';
import { share, size } from '../text/bytes.js';
import { stopwatch } from '../text/duration.js';
import { table } from '../text/table.js';

/** One that has ended is shown for so long. */
const LINGER_MS = 10_000;

const HEAD = ['NAME', 'POD', 'FROM', 'TO', 'PHASE', 'ELAPSED', 'MOVED', 'RATE', 'FROZEN'];

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

  lines(width: number, height: number): string[] {
    const shown = this.#shown();
    if (shown.length === 0) return this.#note ? [cut(this.#note, width)] : [];
    const room = Math.max(1, height - 1 - (this.#note ? 1 : 0));
    const rows = shown.slice(0, room).map(([, migration]) => this.#row(migration));
    const head = this.allNamespaces ? ['NAMESPACE', ...HEAD] : HEAD;
    const more = shown.length - rows.length;
    const lines = table(head, rows).map((line) =>
      line.length > width ? `${line.slice(0, width - 1)}…` : line,
    );
    if (more > 0) lines[lines.length - 1] = `… and ${more + 1} more`;
    return [...lines, ...(this.#note ? [cut(this.#note, width)] : [])];
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

  #row(migration: PodMigration): string[] {
    const { metadata, spec, status = {} } = migration;
    const now = this.controllerNow();
    const from = Date.parse(status.startTime ?? metadata.creationTimestamp ?? '');
    const to = isOver(status) ? Date.parse(status.completionTime ?? '') : now;
    return [
      ...(this.allNamespaces ? [metadata.namespace ?? ''] : []),
      metadata.name,
      spec.podName,
      status.sourceNode ?? '-',
      status.targetNode ?? spec.targetNode ?? '-',
      phase(migration),
      Number.isNaN(to - from) ? '-' : stopwatch(to - from),
      moved(status),
      rate(status, now),
      frozen(status, now),
    ];
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
