/** After the commit: the restored processes execute. What is staged is removed; the checkpoint stays as it was. */
import { isoTime } from '../../status/conditions.js';
import { REASON } from '../../status/reasons.js';
import type { Draft } from '../draft.js';
import { refuseCancel, restoredRuns } from '../forward.js';
import { checkpointWords } from './is-restore.js';

export function broughtBack(draft: Draft): void {
  refuseCancel(draft);
  if (!draft.tidied('discardTarget') || !restoredRuns(draft)) return;
  const { observed, status, now } = draft;
  const message = `Pod ${status.restoredPodName} continues from ${checkpointWords(observed.migration)} on node ${status.targetNode}.`;
  draft.set({
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
