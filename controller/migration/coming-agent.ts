/** Whether an agent that does not answer is about to: its pod is being ended for the next one, or has not come up yet. Pure. */
import { AGENT_LABEL } from '../../common/api/names.js';
import type { Pod } from '../../common/kube/types.js';

/** What the kubelet says when it has tried before and waits longer and longer. */
const HOPELESS = new Set([
  'CrashLoopBackOff',
  'ImagePullBackOff',
  'ErrImagePull',
  'ErrImageNeverPull',
  'InvalidImageName',
  'CreateContainerConfigError',
]);

const [LABEL_KEY = '', LABEL_VALUE = ''] = AGENT_LABEL.split('=');

/** A connection that did not come about is tried again within two seconds (AgentPool): an agent may be ready before that. */
const JUST_MS = 10_000;

/** A sentence about the pod that is being ended or started; undefined when there is nothing to wait for. */
export function comingAgent(
  pods: readonly Pod[],
  { namespace, node, now }: { namespace: string; node: string; now: number },
): string | undefined {
  const here = pods.filter(
    ({ metadata, spec }) =>
      metadata.namespace === namespace &&
      metadata.labels?.[LABEL_KEY] === LABEL_VALUE &&
      (spec?.nodeName ?? meantFor(spec)) === node,
  );
  const starting = here.find((pod) => !pod.metadata.deletionTimestamp && !isReady(pod));
  if (starting) {
    return isHopeless(starting) ? undefined : `Its pod ${starting.metadata.name} is being started.`;
  }
  const fresh = here.find((pod) => now - Date.parse(ready(pod)?.lastTransitionTime ?? '') < JUST_MS);
  if (fresh) return `Its pod ${fresh.metadata.name} has just become ready.`;
  const ending = here.find(({ metadata }) => metadata.deletionTimestamp);
  return ending && `Its pod ${ending.metadata.name} is being ended.`;
}

/** The pods of a DaemonSet name their node before they are bound to it. */
function meantFor(spec: Pod['spec']): string | undefined {
  const terms =
    spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [];
  return terms.flatMap(({ matchFields = [] }) => matchFields).find(({ key }) => key === 'metadata.name')
    ?.values?.[0];
}

const ready = ({ status }: Pod) =>
  status?.conditions?.find(({ type, status: is }) => type === 'Ready' && is === 'True');

const isReady = (pod: Pod): boolean => ready(pod) !== undefined;

const isHopeless = ({ status }: Pod): boolean =>
  (status?.containerStatuses ?? []).some(({ state }) => HOPELESS.has(state?.waiting?.reason ?? ''));
