/** Whether a migration is accepted: everything is said before anything is frozen or made. Pure. */
import type { PodMigration } from '../../common/api/schema.js';
import { findCondition } from '../status/conditions.js';
import { isRestore } from './from-checkpoint/is-restore.js';
import { refusal, type Findings, type MigrationFacts, type NodeFacts, type Refusal } from './facts.js';
import { similarNames } from './names.js';
import {
  expectedBytes,
  nodeFindings,
  nodeNotFound,
  pairFindings,
  placementFindings,
  roomRefusal,
} from './node-checks.js';
import { inspectionFindings, notRunning, podFindings } from './pod-checks.js';

export interface Verdict extends Findings {
  /** Nodes that could take the pod. */
  candidates: string[];
  /** Name of a migration of the same pod that gives way, but does not know it yet: nothing is accepted before it does. */
  waitsFor?: string;
}

/** All reasons against the migration; none means that it is accepted. */
export function checks(facts: MigrationFacts): Verdict {
  const { migration, pod } = facts;
  const early = earlyRefusal(facts);
  if (early || !pod) return { refusals: early ? [early] : [], warnings: [], candidates: [] };

  const found: Findings[] = [podFindings(pod)];
  const busy = busyRefusal(facts);
  if (busy) found.push({ refusals: [busy], warnings: [] });
  const taken = migration.spec.restoredPodName;
  if (taken && facts.podNames.includes(taken)) {
    found.push({
      refusals: [
        refusal(
          'NameTaken',
          `There is a pod ${taken} already, so the restored pod cannot have that name.`,
          'Choose another name, or leave it out.',
        ),
      ],
      warnings: [],
    });
  }
  if (facts.source) found.push(nodeFindings(facts.source, 'source'));
  if (facts.inspection?.value) {
    const info = facts.source?.agent?.value;
    const room = info && roomRefusal(facts.source!.name, info, expectedBytes(facts.inspection.value));
    if (room) found.push({ refusals: [room], warnings: [] });
    found.push(inspectionFindings(pod, facts.inspection.value, migration.spec.tcp));
  } else if (facts.inspection?.failure && facts.source?.agent?.value) {
    const { reason, message, hint } = facts.inspection.failure;
    found.push({ refusals: [{ reason, message, hint }], warnings: [] });
  }

  const named = migration.spec.targetNode !== undefined;
  const judged = facts.targets.map((target) => ({ target, findings: targetFindings(facts, target, named) }));
  const candidates = judged
    .filter(({ findings }) => findings.refusals.length === 0)
    .map(({ target }) => target.name);
  if (named) found.push(...judged.map(({ findings }) => findings));
  else if (candidates.length === 0) found.push({ refusals: [noCandidate(judged)], warnings: [] });

  const givesWay = facts.otherMigrations.find((other) => isOfSamePod(other, migration));
  return {
    refusals: distinct(found.flatMap(({ refusals }) => refusals)),
    warnings: [...new Set(found.flatMap(({ warnings }) => warnings))],
    candidates,
    ...(givesWay ? { waitsFor: givesWay.metadata.name } : {}),
  };
}

/** What makes every further question pointless. */
function earlyRefusal({ migration, pod, podNames, nodeNames, targets }: MigrationFacts): Refusal | undefined {
  const { podName, targetNode } = migration.spec;
  const { namespace } = migration.metadata;
  if (!pod) {
    const near = similarNames(podName, podNames);
    return refusal(
      'PodNotFound',
      `There is no pod ${podName} in namespace ${namespace}.`,
      near.length > 0
        ? `Did you mean ${near.join(' or ')}?`
        : `Look for it: kubectl get pods --all-namespaces --field-selector metadata.name=${podName}`,
    );
  }
  if (targetNode !== undefined && !targets.some(({ node }) => node))
    return nodeNotFound(targetNode, nodeNames);
  return notRunning(pod);
}

function targetFindings(facts: MigrationFacts, target: NodeFacts, named: boolean): Findings {
  const pod = facts.pod!;
  const own = nodeFindings(target, 'target');
  const placement = placementFindings(pod, target);
  const refusals = [...own.refusals, ...placement.refusals];
  const source = facts.source?.agent?.value;
  const info = target.agent?.value;
  if (facts.source && source && info) {
    refusals.push(...pairFindings({ name: facts.source.name, info: source }, { name: target.name, info }));
  }
  if (info && facts.inspection?.value) {
    const room = roomRefusal(target.name, info, expectedBytes(facts.inspection.value));
    if (room) refusals.push(room);
  }
  return { refusals, warnings: named ? placement.warnings : [] };
}

export function noCandidate(
  judged: { target: NodeFacts; findings: Findings }[],
  words = {
    none: 'There is no node but the one that the pod runs on.',
    all: 'No other node can take the pod.',
  },
): Refusal {
  const why = judged
    .slice(0, 5)
    .map(({ target, findings }) => `${target.name}: ${findings.refusals[0]?.message ?? 'unknown'}`)
    .join(' ');
  return refusal(
    'Unschedulable',
    judged.length === 0 ? words.none : `${words.all} ${why}`,
    'Name a node with spec.targetNode to see everything that speaks against it.',
  );
}

/**
 * Two migrations of one pod at the same time: the one that was accepted, else the older one, goes on.
 *
 * That never two are accepted does not hang on this order, and not on one controller being the only one that acts: a
 * migration is accepted only when a list from the API server, made after it was created, shows no other one of its pod that
 * has not ended (`waitsFor`). Of two accepted ones the younger was there when the list for it was made, and so was the older.
 */
function busyRefusal({
  migration,
  otherMigrations,
  runningCheckpoints,
  pod,
}: MigrationFacts): Refusal | undefined {
  const { podName } = migration.spec;
  const busy = (what: string) =>
    refusal('PodBusy', `Pod ${podName} is busy: ${what}.`, 'Try again when that has ended.');
  for (const other of otherMigrations) {
    if (other.metadata.uid === migration.metadata.uid) continue;
    // The name is recorded before the pod is made, its UID afterwards.
    const { restoredPodName, restoredPodUID } = other.status ?? {};
    const itsTarget =
      restoredPodName === podName || (restoredPodUID !== undefined && restoredPodUID === pod?.metadata.uid);
    if (itsTarget) return busy(`it is just being restored by migration ${other.metadata.name}`);
    if (isOfSamePod(other, migration) && goesFirst(other, migration)) {
      return busy(`migration ${other.metadata.name} is moving it`);
    }
  }
  const [checkpoint] = runningCheckpoints;
  return checkpoint ? busy(`checkpoint ${checkpoint} is being taken of it`) : undefined;
}

/** One that brings a checkpoint back leaves the pod alone of which it was taken. */
function isOfSamePod(other: PodMigration, migration: PodMigration): boolean {
  return (
    other.metadata.uid !== migration.metadata.uid &&
    other.spec.podName === migration.spec.podName &&
    !isRestore(other)
  );
}

function goesFirst(a: PodMigration, b: PodMigration): boolean {
  if (findCondition(a.status?.conditions, 'Accepted')?.status === 'True') return true;
  // Times of creation are whole seconds.
  const order = ({ metadata }: PodMigration) => `${metadata.creationTimestamp ?? ''} ${metadata.uid}`;
  return order(a) < order(b);
}

export function distinct(refusals: Refusal[]): Refusal[] {
  return [...new Map(refusals.map((one) => [one.message, one])).values()];
}
