/** Whether a migration is accepted: everything is said before anything is frozen or made. Pure. */
import type { PodMigration } from '../../common/api/schema.js';
import type { Pod } from '../../common/kube/types.js';
import { findCondition } from '../status/conditions.js';
import { isRestore } from './from-checkpoint/is-restore.js';
import {
  check,
  onlyPassing,
  refusal,
  refusalOf,
  type Check,
  type Findings,
  type MigrationFacts,
  type NodeFacts,
  type Refusal,
} from './facts.js';
import { stands, weighed } from './force.js';
import { similarNames } from './names.js';
import {
  expectedBytes,
  nodeFindings,
  nodeNotFound,
  pairFindings,
  placementFindings,
  roomRefusal,
} from './node-checks.js';
import { isPreflight } from './preflight/is-preflight.js';
import { connectionFindings, notRunning, podChecks, processRefusals } from './pod-checks.js';

export interface Verdict extends Findings {
  /** The same by what was looked at, each once. */
  checks: Check[];
  /** Nodes that could take the pod. */
  candidates: string[];
  /** What spec.force overrides: sentences. */
  overridden: string[];
  /** Name of a migration of the same pod that gives way, but does not know it yet: nothing is accepted before it does. */
  waitsFor?: string;
}

/** All reasons against the migration; none means that it is accepted. */
export function checks(facts: MigrationFacts): Verdict {
  const { migration, pod } = facts;
  const early = earlyCheck(facts);
  if (early || !pod) return verdictOf(migration, early ? [early] : [], []);

  const judged = judgedTargets(facts);
  const chosen = candidatesOf(judged, migration.spec.force);
  const candidates = chosen.map(({ target }) => target.name);
  const found: Check[] = [
    check('Pod', `Pod ${pod.metadata.name} runs on node ${pod.spec?.nodeName}.`),
    ...podChecks(pod, migration.spec),
    check('Idle', 'Nobody else works with the pod.', { refusals: busyRefusals(facts) }),
    check('RestoredName', 'The name of the restored pod is free.', { refusals: nameRefusals(facts) }),
    ...sourceChecks(facts, pod),
    ...(migration.spec.targetNode === undefined
      ? [
          check(
            'TargetNode',
            takers(candidates),
            { refusals: chosen.flatMap(({ findings }) => findings.refusals) },
            candidates.length === 0 ? { refusals: [noCandidate(judged)] } : {},
          ),
        ]
      : judged.flatMap(({ checks }) => checks)),
  ];
  const givesWay = facts.otherMigrations.find((other) => isOfSamePod(other, migration));
  return {
    ...verdictOf(migration, found, candidates),
    ...(givesWay ? { waitsFor: givesWay.metadata.name } : {}),
  };
}

function verdictOf({ spec }: PodMigration, found: readonly Check[], candidates: string[]): Verdict {
  const all = merged(found).map((one) => weighed(one, spec));
  return {
    checks: all.map(({ overridden: _, ...one }) => one),
    refusals: distinct(all.flatMap(({ refusals }) => refusals)),
    warnings: [...new Set(all.flatMap(({ warnings }) => warnings))],
    candidates,
    overridden: distinct(all.flatMap(({ overridden }) => overridden)).map(({ message }) => message),
  };
}

/** Nothing is overridden for a node where there is one without it. */
function candidatesOf(judged: JudgedTarget[], force: boolean | undefined): JudgedTarget[] {
  const fit = judged.filter(({ findings }) => findings.refusals.length === 0);
  return fit.length > 0
    ? fit
    : judged.filter(({ findings }) => !findings.refusals.some((one) => stands(one, force)));
}

/** Each name once: the room on both nodes is one question. */
function merged(found: readonly Check[]): Check[] {
  const byName = new Map<string, Check>();
  for (const one of found) {
    const before = byName.get(one.name);
    const passed = before ? `${before.passed} ${one.passed}` : one.passed;
    byName.set(one.name, before ? check(one.name, passed, before, one) : one);
  }
  return [...byName.values()];
}

function takers(candidates: readonly string[]): string {
  return `The scheduler may choose among ${candidates.join(', ')}.`;
}

/** What makes every further question pointless. */
function earlyCheck({ migration, pod, podNames, nodeNames, targets }: MigrationFacts): Check | undefined {
  const { podName, targetNode } = migration.spec;
  const { namespace } = migration.metadata;
  const failed = (name: 'Pod' | 'TargetNode', one: Refusal) => check(name, '', { refusals: [one] });
  if (!pod) {
    const near = similarNames(podName, podNames);
    return failed(
      'Pod',
      refusal(
        'PodNotFound',
        `There is no pod ${podName} in namespace ${namespace}.`,
        near.length > 0
          ? `Did you mean ${near.join(' or ')}?`
          : `Look for it: kubectl get pods --all-namespaces --field-selector metadata.name=${podName}`,
      ),
    );
  }
  if (targetNode !== undefined && !targets.some(({ node }) => node))
    return failed('TargetNode', nodeNotFound(targetNode, nodeNames));
  const still = notRunning(pod);
  return still && failed('Pod', still);
}

function nameRefusals({ migration, podNames }: MigrationFacts): Refusal[] {
  const name = migration.spec.restoredPodName;
  if (!name || !podNames.includes(name)) return [];
  return [
    refusal(
      'NameTaken',
      `There is a pod ${name} already, so the restored pod cannot have that name.`,
      'Choose another name, or leave it out.',
    ),
  ];
}

/** The node that the pod runs on, and what its agent says of the pod's processes. */
function sourceChecks({ migration, source, inspection }: MigrationFacts, pod: Pod): Check[] {
  if (!source) return [];
  const info = source.agent?.value;
  const node = check('SourceNode', `${equipment(source)}.`, nodeFindings(source, 'source'));
  if (inspection?.value) {
    const room = info && roomRefusal(source.name, info, expectedBytes(inspection.value));
    return [
      node,
      check('Room', `${source.name} has room for the dump.`, { refusals: room ? [room] : [] }),
      check('Processes', 'CRIU can dump them, as far as can be seen.', {
        refusals: processRefusals(pod, inspection.value),
      }),
      check(
        'Connections',
        'No TCP connection is open.',
        connectionFindings(pod, inspection.value, migration.spec.tcp),
      ),
    ];
  }
  // Without an agent there is nobody who could have looked: one reason is enough.
  if (!inspection?.failure || !info) return [node];
  return [node, check('Processes', '', { refusals: [refusalOf(inspection.failure)] })];
}

interface JudgedTarget {
  target: NodeFacts;
  checks: Check[];
  findings: Findings;
}

function judgedTargets(facts: MigrationFacts): JudgedTarget[] {
  return facts.targets.map((target) => {
    const checks = targetChecks(facts, target);
    return {
      target,
      checks,
      findings: { refusals: checks.flatMap(({ refusals }) => refusals), warnings: [] },
    };
  });
}

function targetChecks({ migration, pod, source, inspection }: MigrationFacts, target: NodeFacts): Check[] {
  const info = target.agent?.value;
  const sourceInfo = source?.agent?.value;
  const found = [
    check(
      'TargetNode',
      `${equipment(target)}.`,
      nodeFindings(target, 'target'),
      placementFindings(pod!, target, migration.spec.targetNode !== undefined),
    ),
  ];
  if (source && sourceInfo && info) {
    const pair = pairFindings({ name: source.name, info: sourceInfo }, { name: target.name, info });
    found.push(
      check('NodesAlike', `What runs on ${source.name} runs on ${target.name}.`, { refusals: pair }),
    );
  }
  if (info && inspection?.value) {
    const room = roomRefusal(target.name, info, expectedBytes(inspection.value));
    found.push(check('Room', `${target.name} has room for it.`, { refusals: room ? [room] : [] }));
  }
  return found;
}

/** `k8s-worker: containerd 2.1.9, runc, CRIU 4.2.1, agent 0.1.0` */
function equipment({ name, agent }: NodeFacts): string {
  const info = agent?.value;
  if (!info) return name;
  const { runtimeName, runtimeVersion, ociRuntime, criuVersion, agentVersion } = info;
  return `${name}: ${runtimeName} ${runtimeVersion}, ${ociRuntime}, CRIU ${criuVersion}, agent ${agentVersion}`;
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
  return {
    ...refusal(
      'Unschedulable',
      judged.length === 0 ? words.none : `${words.all} ${why}`,
      'Name a node with spec.targetNode to see everything that speaks against it.',
    ),
    ...(judged.some(({ findings }) => onlyPassing(findings.refusals)) ? { passing: true } : {}),
  };
}

/**
 * Two migrations of one pod at the same time: the one that was accepted, else the older one, goes on.
 *
 * That never two are accepted does not hang on this order, and not on one controller being the only one that acts: a
 * migration is accepted only when a list from the API server, made after it was created, shows no other one of its pod that
 * has not ended (`waitsFor`). Of two accepted ones the younger was there when the list for it was made, and so was the older.
 */
function busyRefusals({ migration, otherMigrations, runningCheckpoints, pod }: MigrationFacts): Refusal[] {
  const { podName } = migration.spec;
  const busy = (what: string) => [
    refusal('PodBusy', `Pod ${podName} is busy: ${what}.`, 'Try again when that has ended.'),
  ];
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
  return checkpoint ? busy(`checkpoint ${checkpoint} is being taken of it`) : [];
}

/** One that brings a checkpoint back leaves the pod alone of which it was taken, and one that only looks leaves all alone. */
function isOfSamePod(other: PodMigration, migration: PodMigration): boolean {
  return (
    other.metadata.uid !== migration.metadata.uid &&
    other.spec.podName === migration.spec.podName &&
    !isRestore(other) &&
    !isPreflight(other)
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
