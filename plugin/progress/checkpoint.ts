import type { PodCheckpoint } from '../../common/api/schema.js';
import { size } from '../text/bytes.js';
import { elapsed, span, type Row, type View } from './view.js';

/** How a checkpoint stands: a row for each phase on the way. `now` by the controller's clock. */
export function checkpointView(checkpoint: PodCheckpoint, now: number): View {
  const status = checkpoint.status ?? {};
  const current = status.phase ?? 'Pending';
  const last = (status.phaseTransitions ?? []).findLast(
    ({ phase }) => phase === 'Pending' || phase === 'Running',
  );
  const rows = (['Pending', 'Running'] as const).map((phase): Row => {
    const time = span(checkpoint, [phase]);
    const elapsedMs = time ? elapsed(time, now) : undefined;
    const base = { label: phase, ...(elapsedMs === undefined ? {} : { elapsedMs }) };
    if (current === phase) {
      return {
        ...base,
        state: 'active',
        detail: status.phase ? (status.message ?? '') : 'waiting for the controller',
      };
    }
    if (!time) return { label: phase, state: 'waiting', detail: '' };
    if (current === 'Failed' && last?.phase === phase)
      return { ...base, state: 'failed', detail: status.reason ?? 'failed' };
    const detail = phase === 'Running' && status.sizeBytes !== undefined ? size(status.sizeBytes) : '';
    return { ...base, state: 'done', detail };
  });
  return { rows, stuck: [], warnings: [] };
}
