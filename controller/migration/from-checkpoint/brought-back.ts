/** After the commit: the restored processes execute. What is staged is removed; the checkpoint stays as it was. */
import type { Draft } from '../draft.js';
import { refuseCancel, restoredRuns } from '../forward.js';
import { succeed } from '../succeed.js';
import { checkpointWords } from './is-restore.js';

export function broughtBack(draft: Draft): void {
  refuseCancel(draft);
  if (!draft.tidied('discardTarget') || !restoredRuns(draft)) return;
  const { observed, status } = draft;
  succeed(
    draft,
    `Pod ${status.restoredPodName} continues from ${checkpointWords(observed.migration)} on node ${status.targetNode}.`,
  );
}
