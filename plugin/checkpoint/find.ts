import { ApiError } from '../../common/kube/api-error.js';
import type { KubeClient } from '../../common/kube/client.js';
import type { Caller } from '../checks/judge.js';
import { CliError, UsageError } from '../cli-error.js';
import { either, near } from '../text/suggest.js';
import { ownerOf, typed, type Checkpoint, type CheckpointKind } from './kinds.js';

const KINDS: Record<CheckpointKind, string[]> = {
  PodCheckpoint: ['podcheckpoint', 'podcheckpoints', 'pcp', 'podcheckpoint.lpm.my.domain'],
  ContainerCheckpoint: [
    'containercheckpoint',
    'containercheckpoints',
    'ccp',
    'containercheckpoint.lpm.my.domain',
  ],
};

export interface CheckpointName {
  name: string;
  /** When the kind was said; else a PodCheckpoint goes first. */
  kind?: CheckpointKind;
}

/** Reads `NAME`, `podcheckpoint/NAME` or `containercheckpoint/NAME`, as many as there are. Throws UsageError. */
export function readCheckpoints(words: readonly string[]): CheckpointName[] {
  if (words.length === 0) throw new UsageError('Which checkpoint?');
  return words.map((word) => {
    if (!word.includes('/')) return { name: word };
    const [said = '', name = ''] = word.split('/', 2);
    const kind = (Object.keys(KINDS) as CheckpointKind[]).find((each) =>
      KINDS[each].includes(said.toLowerCase()),
    );
    if (!kind || name === '') throw new UsageError(`"${word}" is not a checkpoint.`);
    return { name, kind };
  });
}

/** Exactly one of them. Throws UsageError. */
export function readCheckpoint(words: readonly string[]): CheckpointName {
  const [first, second] = readCheckpoints(words);
  if (second) throw new UsageError(`One checkpoint at a time: what is "${words[1]}"?`);
  return first!;
}

/** The checkpoint of that name; throws CliError with the names that may have been meant. */
export async function findCheckpoint(
  client: KubeClient,
  namespace: string,
  { name, kind }: CheckpointName,
  caller: Caller,
): Promise<Checkpoint> {
  const [pod, container] = await Promise.all([
    kind === 'ContainerCheckpoint' ? undefined : client.podCheckpoints.find(name, namespace),
    kind === 'PodCheckpoint' ? undefined : client.containerCheckpoints.find(name, namespace),
  ]);
  const found = pod ?? container;
  if (found) return found;
  const all = await allCheckpoints(client, { namespace }).catch((error: unknown) => {
    if (error instanceof ApiError && error.isForbidden) return [];
    throw error;
  });
  const similar = near(
    name,
    all.map(({ metadata }) => metadata.name),
  );
  const ofPod = all.filter(({ spec }) => spec.podName === name).map(({ metadata }) => metadata.name);
  throw new CliError(`There is no checkpoint "${name}" in namespace "${namespace}".`, [
    ofPod.length > 0
      ? `The checkpoints of pod ${name}: ${ofPod.slice(0, 8).join(', ')}${ofPod.length > 8 ? ', …' : ''}`
      : similar.length > 0
        ? `Did you mean ${either(similar)}?`
        : `List them with: ${caller.again(`${caller.program} list`)} (or -A for all namespaces)`,
  ]);
}

/** Those that somebody asked for: PodCheckpoints, and ContainerCheckpoints that are no part of one. */
export async function allCheckpoints(
  client: KubeClient,
  query: { namespace?: string; labelSelector?: string },
): Promise<Checkpoint[]> {
  const [pods, containers] = await Promise.all([
    client.podCheckpoints.list(query),
    client.containerCheckpoints.list(query),
  ]);
  return [
    ...pods.items.map((item) => typed('PodCheckpoint', item)),
    ...containers.items
      .filter((item) => ownerOf(item)?.kind !== 'PodCheckpoint')
      .map((item) => typed('ContainerCheckpoint', item)),
  ];
}
