/** Looks at everything that decide() needs, and at no more: what is known from this process's own work is not asked. */
import type { Pod } from '../../common/kube/types.js';
import { toFailure } from '../agents/failure.js';
import type { Parts } from '../parts.js';
import { findCondition, isTrue } from '../status/conditions.js';
import { REASON } from '../status/reasons.js';
import { answer, collectFacts } from './collect-facts.js';
import type { Answer } from './facts.js';
import type { MigrationContext } from './context.js';
import { isFinal } from './decide.js';
import { changedContainer } from './interruption.js';
import { collectSaved } from './from-checkpoint/collect.js';
import { isRestore } from './from-checkpoint/is-restore.js';
import type { Observed, PodMigrationStatus } from './observed.js';
import { isPreflight } from './preflight/is-preflight.js';
import { rehearse } from './preflight/rehearse.js';
import { isTargetOf } from '../../common/pods/target-pod.js';

/** After so long without a waiting handler the target pod's events are read for the reason. */
const READ_EVENTS_AFTER_MS = 3000;

export async function observe(parts: Parts, context: MigrationContext): Promise<Observed> {
  const { migration, operations } = context;
  const { status = {} } = migration;
  const observed: Observed = {
    now: parts.now(),
    rejoinMs: parts.rejoinMs,
    migration,
    source: { pod: undefined },
    target: { pod: undefined },
    checkpointUid: context.checkpointUid ?? migration.status?.podCheckpointUID,
    operations: operations.all,
  };
  if (isFinal(migration)) return observed;

  const accepted = isTrue(status.conditions, 'Accepted');
  const restore = isRestore(migration);
  const [sourcePod, targetPod] = await Promise.all([
    accepted && !restore ? findSource(parts, context) : undefined,
    accepted ? findTarget(parts, context) : undefined,
  ]);
  observed.source.pod = sourcePod;
  observed.target.pod = targetPod;

  const asks = whatToAsk(observed);
  const targetNode = status.targetNode ?? targetPod?.spec?.nodeName;
  const targetUid = status.restoredPodUID ?? targetPod?.metadata.uid;
  await Promise.all([
    asks.facts && !restore && collectAll(parts, observed),
    asks.facts &&
      restore &&
      (targetPod || !waitsForPod(status)) &&
      collectSaved(parts, migration).then((saved) => (observed.saved = saved)),
    asks.source &&
      status.sourceNode &&
      answer(async () => {
        const agent = parts.agents.agent(status.sourceNode!, parts.caches.nodes.get(status.sourceNode!));
        const { source } = await agent.getPodState(status.sourcePodUID!);
        return source ?? { containers: [], podCgroupFrozen: false, checkpoints: [] };
      }).then((state) => (observed.source.state = state)),
    asks.agents &&
      status.sourceNode &&
      targetNode &&
      awaitedAgent(parts, [
        { node: status.sourceNode, podUid: status.sourcePodUID! },
        { node: targetNode, podUid: status.restoredPodUID! },
      ]).then((node) => {
        if (node !== undefined) observed.awaitedAgent = node;
      }),
    asks.target &&
      targetNode &&
      targetUid &&
      answer(async () => {
        const agent = parts.agents.agent(targetNode, parts.caches.nodes.get(targetNode));
        const { target } = await agent.getPodState(targetUid);
        return target ?? { claim: 0, containers: [], restoredAt: undefined };
      }).then((state) => (observed.target.state = state)),
    asks.warning &&
      targetUid &&
      lastWarning(parts, migration.metadata.namespace!, targetUid).then((warning) => {
        if (warning) observed.target.warning = warning;
      }),
    asks.checkpointUid && findCheckpoint(parts, context).then((uid) => (observed.checkpointUid = uid)),
  ]);
  // Asking took its time, and work may have ended meanwhile.
  observed.now = parts.now();
  observed.operations = operations.all;
  return observed;
}

/** An agent that will not be there to the end of a migration, or is not now; undefined when all of them are. */
async function awaitedAgent(
  parts: Parts,
  places: readonly { node: string; podUid: string }[],
): Promise<string | undefined> {
  const answers = await Promise.all(
    places.map(({ node, podUid }) =>
      answer(() => parts.agents.agent(node, parts.caches.nodes.get(node)).getPodState(podUid)),
    ),
  );
  return places.find((_, index) => isAwaited(answers[index]!))?.node;
}

/** What it answers otherwise (it is too old, or does not believe us) is told when it is asked to freeze. */
export const isAwaited = ({ value, failure }: Answer<{ ending: boolean }>): boolean =>
  value?.ending ?? failure?.retryable ?? false;

/** The facts, and for a preflight what the API server says to the pod that would be made. */
async function collectAll(parts: Parts, observed: Observed): Promise<void> {
  observed.facts = await collectFacts(parts, observed.migration);
  if (!isPreflight(observed.migration)) return;
  const rehearsal = await rehearse(parts, observed.facts);
  if (rehearsal) observed.rehearsal = rehearsal;
}

/** Nothing is worth asking before somebody has made the pod of an imported checkpoint. */
function waitsForPod({ conditions }: PodMigrationStatus): boolean {
  return findCondition(conditions, 'TargetPrepared')?.reason === REASON.WaitingForPod;
}

/** Which questions the state calls for. */
export function whatToAsk({ migration, operations, now, checkpointUid, source }: Observed) {
  const { status = {} } = migration;
  const accepted = isTrue(status.conditions, 'Accepted');
  const committed = isTrue(status.conditions, 'Committed');
  const rollingBack = isTrue(status.conditions, 'RollingBack');
  const mayBeFrozen = findCondition(status.conditions, 'Checkpointed') !== undefined;
  const before = !committed && !rollingBack;
  const created = status.restoredPodUID !== undefined;
  const checkpointing = operations.checkpoint.state !== 'none';
  const restoring = operations.restore.state !== 'none';
  const restarted = source.pod !== undefined && changedContainer(migration, source.pod) !== undefined;
  return {
    facts: before && !created && operations.createTarget.state !== 'running' && !mayBeFrozen,
    source: mayBeFrozen && (rollingBack ? operations.thaw.state !== 'done' : before && restarted),
    agents:
      before &&
      !mayBeFrozen &&
      status.phase === 'Pending' &&
      isTrue(status.conditions, 'TargetPrepared') &&
      !isRestore(migration),
    target:
      (before && created && !checkpointing && !restoring) ||
      (before && operations.restore.state === 'failed') ||
      (committed && operations.restore.state !== 'done'),
    warning:
      before && created && !mayBeFrozen && now - Date.parse(status.startTime ?? '') > READ_EVENTS_AFTER_MS,
    checkpointUid:
      !isRestore(migration) && accepted && status.phase !== 'Pending' && checkpointUid === undefined,
  };
}

/** The pod that was accepted as the source, and no namesake. */
async function findSource(parts: Parts, { migration }: MigrationContext): Promise<Pod | undefined> {
  const { namespace } = migration.metadata;
  const { podName } = migration.spec;
  const uid = migration.status?.sourcePodUID;
  const isSource = (pod: Pod | undefined) => pod?.metadata.uid === uid;
  const cached = parts.caches.pods.get(`${namespace}/${podName}`);
  if (isSource(cached)) return cached;
  const live = await parts.client.pods.find(podName, namespace);
  return isSource(live) ? live : undefined;
}

/** The pod that this migration has made, also when its UID was not recorded before the controller died. */
async function findTarget(parts: Parts, context: MigrationContext): Promise<Pod | undefined> {
  const { migration, createdTarget, operations } = context;
  const { namespace } = migration.metadata;
  const name = migration.status?.restoredPodName;
  if (!name) return undefined;
  const isTarget = (pod: Pod | undefined) => pod !== undefined && isTargetOf(pod, migration);
  const cached = parts.caches.pods.get(`${namespace}/${name}`);
  if (isTarget(cached)) return cached;
  const { createTarget } = operations.all;
  if (createTarget.state === 'running') return createdTarget;
  const live = await parts.client.pods.find(name, namespace);
  return isTarget(live) ? live : undefined;
}

async function findCheckpoint(parts: Parts, context: MigrationContext): Promise<string | undefined> {
  const { migration } = context;
  const { namespace, name, uid } = migration.metadata;
  for (const candidate of [migration.status?.podCheckpointName, name]) {
    if (!candidate) continue;
    const found = await parts.client.podCheckpoints.find(candidate, namespace);
    if (found?.metadata.ownerReferences?.some((owner) => owner.uid === uid)) {
      return (context.checkpointUid = found.metadata.uid);
    }
  }
  return undefined;
}

/** The newest warning about the pod: the kubelet tells there what no status field says (sandbox, volumes, handler). */
async function lastWarning(parts: Parts, namespace: string, uid: string): Promise<string | undefined> {
  try {
    const { items } = await parts.client.events.list({
      namespace,
      fieldSelector: `involvedObject.uid=${uid},type=Warning`,
    });
    const time = (event: (typeof items)[number]) => event.lastTimestamp ?? event.eventTime ?? '';
    const newest = items.sort((a, b) => time(a).localeCompare(time(b))).at(-1);
    return newest && `${newest.reason}: ${newest.message}`;
  } catch (error) {
    parts.log.debug(`Events cannot be read: ${toFailure(error).message}`);
    return undefined;
  }
}
