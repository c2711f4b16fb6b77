/**
 * The pod of an imported checkpoint is made by whoever brings it back, with rights of his own: what an archive from elsewhere
 * says of its pod is shown to people, and makes nothing. The pod that comes is looked at like any that was created.
 */
import { ANNOTATION, RUNTIME_CLASS } from '../../../common/api/names.js';
import type { Pod } from '../../../common/kube/types.js';
import type { BoundCheckpoint } from '../../checkpoint/bound.js';
import { failureOf } from '../../agents/failure.js';
import { REASON } from '../../status/reasons.js';
import type { Draft } from '../draft.js';
import { restoredPodRefusals } from '../pod-checks.js';
import { savedChecks } from './checks.js';

const POLL_MS = 1000;

/** What is to be done, as a sentence. */
export function howToMakePod(draft: Draft): string {
  const { metadata, spec } = draft.observed.migration;
  const { restoredPodName: name } = draft.status;
  const node = spec.targetNode ? `, nodeName ${spec.targetNode}` : '';
  return `Waits for pod ${name}: an imported checkpoint is brought back only into a pod that you create, with the annotation ${ANNOTATION.migration}: ${metadata.uid}, runtimeClassName ${RUNTIME_CLASS}${node} and the containers of the original (kubectl checkpoint restore does that).`;
}

/** Takes the pod that was made for this migration, once it has a node, if it is such a one. */
export function awaitPod(draft: Draft): void {
  const { observed, status } = draft;
  const { pod } = observed.target;
  if (!pod) {
    draft.condition('TargetPrepared', 'False', REASON.WaitingForPod, howToMakePod(draft));
    return draft.requeue(POLL_MS);
  }
  if (!pod.spec?.nodeName) {
    const message = `Pod ${status.restoredPodName} waits for a node.`;
    draft.condition('TargetPrepared', 'False', REASON.WaitingForPod, message);
    draft.set({ message });
    return draft.requeue(POLL_MS);
  }
  const { saved } = observed;
  if (!saved) return draft.requeue(POLL_MS);
  const { bound, refusal } = saved.binding;
  if (!bound) return draft.rollBack(failureOf(refusal.reason, refusal.message, refusal.hint));
  draft.set({ restoredPodUID: pod.metadata.uid!, targetNode: pod.spec.nodeName });
  draft.barrier();
  const wrong = wrongPod(draft, pod, bound);
  if (wrong) return draft.rollBack(wrong);
  draft.condition(
    'TargetPrepared',
    'False',
    REASON.WaitingForHandler,
    `Pod ${pod.metadata.name} is being prepared on node ${pod.spec.nodeName}.`,
  );
  draft.again();
}

function wrongPod(draft: Draft, pod: Pod, { containers }: BoundCheckpoint) {
  const { saved, migration } = draft.observed;
  const { name, ownerReferences } = pod.metadata;
  const spec = pod.spec!;
  const wrong = (what: string, hint = 'Delete it, and restore again.') =>
    failureOf('TargetPodChanged', `Pod ${name} ${what}.`, hint);
  const { targetNode } = migration.spec;
  if (spec.runtimeClassName !== RUNTIME_CLASS)
    return wrong(`has not the runtime class ${RUNTIME_CLASS}, so nothing would be restored into it`);
  if (ownerReferences?.length)
    return wrong(`belongs to ${ownerReferences[0]!.kind} ${ownerReferences[0]!.name}`);
  if (spec.initContainers?.length) return wrong('has init containers, which have run in the original');
  if (targetNode && spec.nodeName !== targetNode)
    return wrong(`is on node ${spec.nodeName}, not on ${targetNode} as asked for`);
  const names = (list: readonly string[]) => [...list].sort().join(', ');
  const have = names(spec.containers.map((container) => container.name));
  const want = names(containers.map((content) => content.spec.containerName));
  if (have !== want) return wrong(`has the containers ${have}, the checkpoint those named ${want}`);
  for (const { spec: content } of containers) {
    const image = spec.containers.find((container) => container.name === content.containerName)?.image;
    if (isImage(image, content.image, content.imageRef)) continue;
    return wrong(
      `has image ${image} in container ${content.containerName}, the checkpoint is of ${content.image ?? content.imageRef}`,
    );
  }
  const [unfit] = restoredPodRefusals(pod);
  if (unfit) return failureOf(unfit.reason, unfit.message, unfit.hint);
  const verdict = savedChecks({
    ...saved!,
    migration: { ...migration, spec: { ...migration.spec, targetNode: spec.nodeName! } },
  });
  if (targetNode || verdict.candidates.includes(spec.nodeName!)) return undefined;
  const [why] = verdict.refusals;
  return failureOf(
    why?.reason ?? 'Unschedulable',
    `Pod ${name} came to node ${spec.nodeName}, which cannot restore it${why ? `: ${why.message}` : '.'}`,
    'Name another node with spec.targetNode.',
  );
}

/** An image by another name is the same only when both say the same digest. */
function isImage(
  image: string | undefined,
  wanted: string | undefined,
  wantedRef: string | undefined,
): boolean {
  if (wanted === undefined && wantedRef === undefined) return true;
  if (image !== undefined && (image === wanted || image === wantedRef)) return true;
  const digest = /@(sha256:[0-9a-f]{64})$/.exec(image ?? '')?.[1];
  return digest !== undefined && (wantedRef?.includes(digest) ?? false);
}
