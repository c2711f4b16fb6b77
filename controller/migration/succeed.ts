import { isoTime } from '../status/conditions.js';
import { REASON } from '../status/reasons.js';
import type { Draft } from './draft.js';

/** The last entry of a migration, or restore, whose restored pod runs. `measured` is what else is known at the end. */
export function succeed(draft: Draft, message: string, measured: Parameters<Draft['set']>[0] = {}): void {
  const { status, now } = draft;
  draft.set({
    ...measured,
    message,
    completionTime: isoTime(now),
    totalMilliseconds: Math.max(0, now - Date.parse(status.startTime ?? isoTime(now))),
  });
  draft.clear('progress', 'reason', 'hint');
  draft.phase('Succeeded');
  draft.condition('Complete', 'True', REASON.Succeeded, message);
  draft.event('migration', 'Normal', 'Succeeded', message);
  draft.event('target', 'Normal', 'Restored', message);
  draft.finalizer = 'remove';
}
