import type {
  CheckpointPhase,
  ContainerCheckpoint,
  PodCheckpoint,
  PodMigration,
} from '../../common/api/schema.js';
import type { Terminal } from '../terminal.js';
import { checkpointStep, checkpointView } from './checkpoint.js';
import { ControllerClock } from './clock.js';
import type { Display } from './display.js';
import { migrationView, rowsOf, stepText } from './migration.js';
import { PlainDisplay } from './plain.js';
import type { View, Worked } from './view.js';

/** Shows a migration in the way that the terminal allows. listr2 is loaded only when it is used. */
export function migrationDisplay(
  terminal: Terminal,
  what: 'migration' | 'restore' = 'migration',
): Promise<Display<PodMigration>> {
  return display<PodMigration>(
    terminal,
    rowsOf(what).map(({ label }) => label),
    migrationView,
    ({ status = {} }, now) => stepText(status, now),
  );
}

type Checkpoint = PodCheckpoint | ContainerCheckpoint;

export function checkpointDisplay(terminal: Terminal): Promise<Display<Checkpoint>> {
  return display<Checkpoint>(
    terminal,
    (['Pending', 'Running'] satisfies CheckpointPhase[]).map((phase) => phase),
    checkpointView,
    ({ status = {} }) => checkpointStep(status),
  );
}

async function display<T extends Worked>(
  terminal: Terminal,
  labels: readonly string[],
  view: (object: T, now: number) => View,
  step?: (object: T, now: number) => string | undefined,
): Promise<Display<T>> {
  const clock = new ControllerClock();
  const now = () => clock.read();
  const shown = terminal.live
    ? new (await import('./live.js')).LiveDisplay<T>(terminal, labels, (object) => view(object, now()))
    : new PlainDisplay<T>(terminal.err, now, step);
  return {
    update: (object) => {
      clock.see(times(object));
      shown.update(object);
    },
    note: (text) => shown.note(text),
    end: (how) => shown.end(how),
  };
}

function times({ status = {} }: Worked): (string | undefined)[] {
  return [
    status.startTime,
    status.completionTime,
    ...(status.phaseTransitions ?? []).map(({ transitionTime }) => transitionTime),
  ];
}
