import type { ContainerCheckpoint, PodCheckpoint } from '../../common/api/schema.js';
import { share, size } from '../text/bytes.js';
import { amountOfTime } from '../text/duration.js';
import { elapsed, span, type Row, type View } from './view.js';

type Checkpoint = PodCheckpoint | ContainerCheckpoint;
type Status = NonNullable<Checkpoint['status']>;

const DOING: Record<string, string> = {
  Freeze: 'freezing',
  Dump: 'dumping memory',
  Collect: 'collecting files',
  Archive: 'writing the archive',
  Transfer: 'receiving',
};

/** How a checkpoint stands: a row for each phase on the way. `now` by the controller's clock. */
export function checkpointView(checkpoint: Checkpoint, now: number): View {
  const status = checkpoint.status ?? {};
  const current = status.phase ?? 'Pending';
  const last = (status.phaseTransitions ?? []).findLast(
    ({ phase }) => phase === 'Pending' || phase === 'Running',
  );
  const rows = (['Pending', 'Running'] as const).map((phase): Row => {
    const time = span(checkpoint, [phase]);
    const elapsedMs = time ? elapsed(time, now) : undefined;
    const base = { label: phase, ...(elapsedMs === undefined ? {} : { elapsedMs }) };
    if (current === phase) return { ...base, state: 'active', detail: doing(status) };
    if (!time) return { label: phase, state: 'waiting', detail: '' };
    if (current === 'Failed' && last?.phase === phase)
      return { ...base, state: 'failed', detail: status.reason ?? 'failed' };
    return { ...base, state: 'done', detail: phase === 'Running' ? outcome(status) : '' };
  });
  return { rows, stuck: [], warnings: [] };
}

/** The same in a few words. */
export function checkpointDoing({ status = {} }: Checkpoint): string {
  return status.phase === 'Succeeded' ? outcome(status) : doing(status);
}

/** The step that runs at the moment, with its bytes; undefined when none is known. */
export function checkpointStep({ progress }: Status): string | undefined {
  if (!progress) return undefined;
  const word = DOING[progress.step] ?? progress.step.toLowerCase();
  return progress.bytesDone || progress.bytesTotal
    ? `${word} ${share(progress.bytesDone ?? 0, progress.bytesTotal)}`
    : word;
}

function doing(status: Status): string {
  if (!status.phase) return 'waiting for the controller';
  return checkpointStep(status) ?? status.message ?? '';
}

function outcome({ sizeBytes, frozenMilliseconds }: Status): string {
  return [
    ...(sizeBytes === undefined ? [] : [size(sizeBytes)]),
    ...(frozenMilliseconds === undefined ? [] : [`frozen for ${amountOfTime(frozenMilliseconds)}`]),
  ].join(', ');
}
