/** Whether a saved checkpoint can be brought back: everything is said before anything is made. Pure. */
import type { ContainerCheckpointContent, PodMigration } from '../../../common/api/schema.js';
import type { Pod } from '../../../common/kube/types.js';
import { ArchiveDescription } from '../../../proto/gen/lpm/v1/agent.js';
import type { BoundCheckpoint } from '../../checkpoint/bound.js';
import { distinct, noCandidate, type Verdict } from '../checks.js';
import { refusal, type Findings, type NodeFacts, type Refusal } from '../facts.js';
import { nodeFindings, nodeNotFound, pairFindings, placementFindings, roomRefusal } from '../node-checks.js';
import { carriedStateWarnings, restoredPodRefusals } from '../pod-checks.js';
import type { SavedFacts } from './facts.js';
import { checkpointWords } from './is-restore.js';
import { checkpointedPod } from './saved-pod.js';

const SHARED = 'shared://';

/** All reasons against it; none means that it is accepted. */
export function savedChecks(facts: SavedFacts): Omit<Verdict, 'checks' | 'overridden'> {
  const { migration, binding, targets, nodeNames } = facts;
  const { targetNode } = migration.spec;
  const { bound } = binding;
  const early =
    binding.refusal ??
    (targetNode !== undefined && !targets.some(({ node }) => node)
      ? nodeNotFound(targetNode, nodeNames)
      : undefined);
  if (early || !bound) return { refusals: early ? [early] : [], warnings: [], candidates: [] };

  const pod = checkpointedPod(bound);
  const found: Findings[] = [
    { refusals: contentRefusals(migration, bound, pod), warnings: contentWarnings(bound) },
    { refusals: pod ? restoredPodRefusals(pod) : [], warnings: pod ? carriedStateWarnings(pod) : [] },
    { refusals: nameRefusals(facts), warnings: twinWarnings(facts) },
    { refusals: mapRefusals(facts, bound), warnings: [] },
  ];
  const named = targetNode !== undefined;
  const judged = targets.map((target) => ({ target, findings: targetFindings(facts, bound, pod, target) }));
  const candidates = judged
    .filter(({ findings }) => findings.refusals.length === 0)
    .map(({ target }) => target.name);
  if (named) found.push(...judged.map(({ findings }) => findings));
  else if (candidates.length === 0) {
    const words = { none: 'No node is Ready and takes pods.', all: 'No node can take the pod.' };
    found.push({ refusals: [noCandidate(judged, words)], warnings: [] });
  }
  return {
    refusals: distinct(found.flatMap(({ refusals }) => refusals)),
    warnings: [...new Set(found.flatMap(({ warnings }) => warnings))],
    candidates,
  };
}

function contentRefusals(migration: PodMigration, bound: BoundCheckpoint, pod: Pod | undefined): Refusal[] {
  const what = checkpointWords(migration);
  const { podName } = migration.spec;
  const found: Refusal[] = [];
  if (bound.podName !== podName) {
    found.push(
      refusal(
        'InvalidArgument',
        `${what} is of pod ${bound.podName}, not of ${podName}.`,
        `Set spec.podName to ${bound.podName}.`,
      ),
    );
  }
  for (const { spec } of bound.containers) {
    if (spec.restorable && spec.sha256) continue;
    const gaps = spec.gaps?.length ? `: ${spec.gaps.join(' ')}` : '.';
    found.push(
      refusal(
        'NotRestorable',
        spec.sha256
          ? `The archive of container ${spec.containerName} in ${what} cannot be brought back${gaps}`
          : `The archive of container ${spec.containerName} in ${what} has no recorded SHA-256, so nothing could tell whether it was altered.`,
        'Take another checkpoint with spec.via: Agent.',
      ),
    );
  }
  if (!pod && bound.containers.some(({ spec }) => spec.via !== 'Import')) {
    found.push(
      refusal('NotRestorable', `${what} does not hold the spec of its pod.`, 'Take another checkpoint.'),
    );
  }
  return found;
}

function contentWarnings({ containers }: BoundCheckpoint): string[] {
  return containers.flatMap(({ spec }) =>
    (spec.gaps ?? []).map((gap) => `Container ${spec.containerName}: ${gap}`),
  );
}

/** The pod of that name may be made by somebody else later still: then creating it fails. */
function nameRefusals({ migration, podNames, otherMigrations }: SavedFacts): Refusal[] {
  const name = migration.spec.restoredPodName;
  if (!name) return [];
  const hint = 'Choose another name, or leave it out.';
  if (podNames.includes(name)) {
    return [
      refusal(
        'NameTaken',
        `There is a pod ${name} already, so the restored pod cannot have that name.`,
        hint,
      ),
    ];
  }
  const other = otherMigrations.find(({ status }) => status?.restoredPodName === name);
  return other
    ? [refusal('NameTaken', `Migration ${other.metadata.name} is making a pod ${name}.`, hint)]
    : [];
}

/** What it means that two pods continue one process, for people. */
function twinWarnings({ twins }: SavedFacts): string[] {
  const [first] = twins;
  if (!first) return [];
  const who = twins.length === 1 ? `Pod ${first} still runs` : `Pods ${twins.join(', ')} still run`;
  return [
    `${who}: ${twins.length === 1 ? 'the two are' : 'they and the restored pod are'} twins, with the same memory, host name, identities and secrets. What the process does outside of itself (in databases, queues, shared files), it does in each of them.`,
  ];
}

function mapRefusals({ missingConfigMaps }: SavedFacts, { namespace }: BoundCheckpoint): Refusal[] {
  return missingConfigMaps.map((name) =>
    refusal(
      'PodNotSupported',
      `The pod mounts ConfigMap ${name}, which does not exist in namespace ${namespace}.`,
      'Make it again as it was, and try again.',
    ),
  );
}

function targetFindings(
  facts: SavedFacts,
  bound: BoundCheckpoint,
  pod: Pod | undefined,
  target: NodeFacts,
): Findings {
  const own = nodeFindings(target, 'target');
  const placement = pod
    ? placementFindings(pod, target, facts.migration.spec.targetNode !== undefined)
    : { refusals: [], warnings: [] };
  const refusals = [...own.refusals, ...placement.refusals];
  const info = target.agent?.value;
  if (info) {
    const abilities = bound.containers[0]?.spec.madeOn ?? facts.maker?.agent?.value;
    if (abilities) {
      refusals.push(...pairFindings({ name: bound.nodeName, info: abilities }, { name: target.name, info }));
    }
    const room = roomRefusal(target.name, info, expectedRoom(bound.containers, target.name));
    if (room) refusals.push(room);
  }
  refusals.push(...holderRefusals(facts, bound, target.name));
  return { refusals, warnings: facts.migration.spec.targetNode ? placement.warnings : [] };
}

/** An archive that lies on one node only comes from its agent. */
function holderRefusals({ maker }: SavedFacts, bound: BoundCheckpoint, target: string): Refusal[] {
  const local = bound.containers.some(({ spec }) => !spec.artifactURI.startsWith(SHARED));
  if (!local || target === bound.nodeName) return [];
  const lies = `The archive lies on node ${bound.nodeName} only`;
  if (!maker?.node) {
    return [
      refusal('NodeNotFound', `${lies}, and there is no such node any more.`, 'Choose another checkpoint.'),
    ];
  }
  const failure = maker.agent?.failure;
  if (!failure && maker.agent) return [];
  return [
    {
      ...refusal(
        failure?.reason ?? 'NodeNotReady',
        `${lies}: ${failure?.message ?? `node ${bound.nodeName} is not Ready.`}`,
        failure?.hint ?? `Look at the node: kubectl describe node ${bound.nodeName}`,
      ),
      ...(maker.agentComes ? { passing: true } : {}),
    },
  ];
}

/** An archive that comes from elsewhere lies beside what was unpacked from it until that is staged. */
function expectedRoom(contents: readonly ContainerCheckpointContent[], target: string): bigint {
  return contents.reduce((sum, { spec, status }) => {
    const packed = BigInt(spec.sizeBytes ?? 0);
    const described = describedBytes(status?.description);
    const comes = !spec.artifactURI.startsWith(SHARED) && spec.nodeName !== target;
    return sum + (described > packed ? described : packed) + (comes ? packed : 0n);
  }, 0n);
}

/** What an archive says of itself may be anything. */
function describedBytes(description: Record<string, unknown> | undefined): bigint {
  try {
    const { memoryBytes, layerBytes, volumeBytes } = ArchiveDescription.fromJSON(description ?? {});
    return memoryBytes + layerBytes + volumeBytes;
  } catch {
    return 0n;
  }
}
