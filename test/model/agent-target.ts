/** The target side of the agent, step by step as in agent/restore.ts, revoke.ts and claim.ts. What comes next is decided by its own code. */
import { nextStep, type TargetContainer } from '../../agent/target.js';
import { LpmError } from '../../common/errors.js';
import { Claim, Step, type RestoreResult } from '../../proto/gen/lpm/v1/agent.js';
import { join, revokedError, type Agent, type Work } from './agent.js';
import { isUsable, type Complete } from './agent-source.js';
import type { Disk } from './disk.js';
import type { Image, Node } from './node.js';
import type { Process, Steps } from './scheduler.js';
import { ask } from './wire.js';
import type { World } from './world.js';

export interface RestoreAsked {
  migration: string;
  pod: string;
  checkpoint: string;
  sourceNode: string;
}

/** containers/<name>/waiting */
export interface Waiting {
  handler: Process;
  container: string;
  /** Seconds since boot. */
  deadline: number;
}

export const podFolder = (pod: string): string => `pods/${pod}`;
export const containerFolder = (pod: string): string => `pods/${pod}/containers/counter`;

/** Who holds the claim. */
export function claimOf(world: World, { disk }: Node, pod: string): { claim: Claim; by: string } {
  if (world.guarded('the claim is synced before anything executes')) disk.sync(`${podFolder(pod)}/claim`);
  const text = disk.read<string>(`${podFolder(pod)}/claim`);
  if (text === undefined) return { claim: Claim.CLAIM_NONE, by: '' };
  const [word, by = ''] = text.split(' ');
  return { claim: word === 'revoked' ? Claim.CLAIM_REVOKED : Claim.CLAIM_COMMITTED, by };
}

/** As it stands now, synced or not. */
export function isCommitted(disk: Disk, pod: string): boolean {
  return disk.read<string>(`${podFolder(pod)}/claim`)?.startsWith('committed') ?? false;
}

export function observeContainer(world: World, node: Node, pod: string): TargetContainer {
  const { disk } = node;
  const folder = containerFolder(pod);
  const waiting = disk.read<Waiting>(`${folder}/waiting`);
  const restored = disk.read<number>(`${folder}/restored`);
  const held = disk.read<string>(`${folder}/held`);
  return {
    name: 'counter',
    folder,
    handler: waiting
      ? {
          pid: 1,
          startTime: '1',
          containerId: waiting.container,
          bundle: '/',
          deadline: waiting.deadline,
          alive: waiting.handler.alive,
        }
      : undefined,
    staged: disk.has(`${folder}/stage`),
    readyFor: disk.read<{ container: string }>(`${folder}/ready`)?.container,
    attempted: disk.has(`${folder}/attempted`),
    held: held === undefined ? undefined : { containerId: held.split(' ')[1]!, cgroup: '' },
    restoredAt:
      claimOf(world, node, pod).claim === Claim.CLAIM_COMMITTED && restored !== undefined
        ? new Date(restored)
        : undefined,
    failure: disk.has(`${folder}/failed`)
      ? { sentence: disk.read<string>(`${folder}/failed`)!, log: '' }
      : undefined,
  };
}

interface RestoreRecord {
  migration: string;
  staged: boolean;
}

export function* restore(
  agent: Agent,
  asked: RestoreAsked,
  onProgress: (step: Step) => void,
): Steps<RestoreResult> {
  const known = agent.restores.get(asked.pod);
  if (known && known.uid !== asked.migration)
    throw new LpmError('PodBusy', 'Restored for another migration.');
  const begin = { pod: asked.pod, uid: asked.migration };
  return yield* join(agent, agent.restores, asked.pod, begin, (work) => make(agent, asked, work, onProgress));
}

const LIMIT_MS = 15 * 60_000;

function* make(
  agent: Agent,
  asked: RestoreAsked,
  work: Work<RestoreResult>,
  onProgress: (step: Step) => void,
): Steps<RestoreResult> {
  const { world, node } = agent;
  const { disk } = node;
  const { pod, migration } = asked;
  const file = `${podFolder(pod)}/restore.json`;
  const folder = containerFolder(pod);
  try {
    yield { at: 'begin the restore', ms: 5 };
    if (!disk.has(file)) {
      disk.write(`${podFolder(pod)}/wanted`, 'counter');
      disk.write(file, { migration, staged: false } satisfies RestoreRecord);
      disk.sync(podFolder(pod));
    }
    if (!disk.read<RestoreRecord>(file)!.staged && claimOf(world, node, pod).claim === Claim.CLAIM_NONE) {
      onProgress(Step.STEP_TRANSFER);
      const image = yield* pull(agent, asked);
      if (work.canceled) throw revokedError(`The restore of ${pod}`);
      onProgress(Step.STEP_STAGE);
      yield { at: 'stage', ms: 10 };
      disk.write(`${folder}/stage`, image);
      yield { at: 'note the stage', ms: 3 };
      disk.write(file, { migration, staged: true } satisfies RestoreRecord);
      disk.sync(file);
    }
    const end = world.now + LIMIT_MS;
    for (;;) {
      yield { at: '.look at the marks', ms: 1 };
      const { claim } = claimOf(world, node, pod);
      const container = observeContainer(world, node, pod);
      const step = nextStep(claim, [container]);
      switch (step.do) {
        case 'revoked':
          throw revokedError(`The restore of ${pod}`);
        case 'failed':
        case 'lost':
          throw new LpmError('CriuRestoreFailed', container.failure?.sentence ?? 'The runtime ended it.');
        case 'prepare': {
          yield { at: 'fill the volumes', ms: 10 };
          if (!disk.has(`${folder}/stage`)) throw new LpmError('StageFailed', 'Nothing is staged.');
          yield { at: 'mark ready', ms: 3 };
          disk.write(`${folder}/ready`, { migration, container: container.handler!.containerId });
          disk.sync(`${folder}/ready`);
          world.note('ready');
          onProgress(Step.STEP_RESTORE);
          continue;
        }
        case 'commit': {
          yield { at: 'ask the runtime', ms: 3 };
          const standing = node.containers.find(({ id }) => id === container.held!.containerId);
          if (standing?.state !== 'running') throw new LpmError('CriuRestoreFailed', 'It has ended.');
          if (standing.started || !world.guarded('the runtime has had its answers before the commit')) {
            yield* commit(agent, asked);
            continue;
          }
          break;
        }
        case 'release':
          yield* letGo(agent, pod);
          continue;
        case 'restored':
          return {
            claim,
            restoredAt: container.restoredAt,
            bytesTransferred: 1n,
            steps: [],
          };
        case 'wait':
      }
      if (world.now > end) throw new LpmError('TimedOut', 'It was not restored in time.');
      const before = marks(node, pod);
      yield { at: '.wait for the marks', until: () => marks(node, pod) !== before, timeoutMs: 30_000 };
    }
  } catch (error) {
    if (claimOf(world, node, pod).claim === Claim.CLAIM_REVOKED) throw revokedError(`The restore of ${pod}`);
    throw error;
  }
}

/** The target's claim: from here on its processes may execute. */
function* commit({ world, node }: Agent, { pod, migration }: RestoreAsked): Steps {
  const { disk } = node;
  yield { at: 'claim for the target', ms: 3 };
  const file = `${podFolder(pod)}/claim`;
  if (!world.guarded('the claim is made before anything executes')) {
    for (const each of node.containers) if (each.pod === pod) node.freeze(each, false);
    world.note('claimed');
    return;
  }
  if (!world.guarded('the claim is won by one side only')) disk.write(file, `committed ${migration}`);
  else if (!disk.link(file, `committed ${migration}`)) return;
  world.note('claimed');
  yield { at: 'sync the claim', ms: 3 };
  if (world.guarded('the claim is synced before anything executes')) disk.sync(podFolder(pod));
}

/** Lets go what is held, once the claim is the target's. */
export function* letGo({ world, node }: Agent, pod: string): Steps {
  const { disk } = node;
  const folder = containerFolder(pod);
  yield { at: 'let it go', ms: 3 };
  const id = disk.read<string>(`${folder}/held`)?.split(' ')[1];
  for (const each of node.containers) if (each.id === id) node.freeze(each, false);
  world.note('executed');
  yield { at: 'note when', ms: 3 };
  disk.write(`${folder}/restored`, world.now);
}

/** What nextStep depends on, for telling when to look again. */
function marks(node: Node, pod: string): string {
  const folder = containerFolder(pod);
  const { disk } = node;
  const waiting = disk.read<Waiting>(`${folder}/waiting`);
  return [
    disk.read<string>(`${podFolder(pod)}/claim`),
    waiting?.container,
    waiting?.handler.alive,
    disk.read<{ container: string }>(`${folder}/ready`)?.container,
    ...['attempted', 'held', 'restored', 'failed'].map((name) => disk.has(`${folder}/${name}`)),
    ...node.containers
      .filter((each) => each.pod === pod)
      .map((each) => `${each.id} ${each.state} ${each.started}`),
  ].join();
}

/** PullArtifacts, from agent to agent; on one node the files are linked. */
function* pull(agent: Agent, { checkpoint, sourceNode }: RestoreAsked): Steps<Image> {
  const { world, node, process } = agent;
  const read = (source: Node): Image => {
    const complete = source.disk.read<Complete>(`artifacts/${checkpoint}`);
    if (!complete) throw new LpmError('CheckpointNotFound', 'There is no such checkpoint.');
    if (!isUsable(world, source, complete))
      throw new LpmError('SourceChanged', 'The node was started anew since.');
    return { ...complete.image, takenAtBoot: source.boot };
  };
  if (sourceNode === node.name) return read(node);
  const source = world.node(sourceNode);
  try {
    return yield* ask(
      world,
      { process, place: node.name },
      sourceNode,
      'pull',
      () => world.agents.get(sourceNode)?.process,
      function* (): Steps<Image> {
        yield { at: 'send the artifacts', ms: 50 };
        return read(source);
      },
      30_000,
    );
  } catch (error) {
    if (error instanceof LpmError) throw error;
    throw new LpmError('TransferFailed', 'The connection was lost.');
  }
}

const PATIENCE_MS = 150;
const KILL_LIMIT_MS = 10_000;

/** Claims for the source's side. The answer is final. */
export function* revoke(agent: Agent, pod: string, migration: string): Steps<Claim> {
  const { world, node, restores } = agent;
  const { disk } = node;
  yield { at: 'claim for the source', ms: 3 };
  disk.link(`${podFolder(pod)}/claim`, `revoked ${migration}`);
  yield { at: 'sync the claim', ms: 3 };
  disk.sync(podFolder(pod));
  const { claim } = claimOf(world, node, pod);
  if (claim !== Claim.CLAIM_REVOKED) return claim;

  const handler = (): Process | undefined => {
    const waiting = disk.read<Waiting>(`${containerFolder(pod)}/waiting`);
    return waiting?.handler.alive ? waiting.handler : undefined;
  };
  const end = world.now + KILL_LIMIT_MS;
  yield { at: 'wait for the handler', until: () => handler() === undefined, timeoutMs: PATIENCE_MS };
  while (handler()) {
    if (world.now > end) throw new LpmError('TimedOut', 'A half-restored process does not end.');
    for (const criu of world.restoresOf(node, pod)) world.scheduler.kill(criu);
    for (const each of node.containers) if (each.pod === pod) node.kill(each);
    yield { at: 'wait for the handler', until: () => handler() === undefined, timeoutMs: 1000 };
  }
  yield { at: 'end what is left', ms: 5 };
  for (const each of node.running(pod)) {
    node.kill(each);
    node.endBehindFence(each);
  }
  const work = restores.get(pod);
  if (work) work.canceled = true;
  return claim;
}

export function* discardStage({ node }: Agent, pod: string): Steps<void> {
  yield { at: 'discard the stage', ms: 5 };
  node.disk.remove(`${containerFolder(pod)}/ready`);
  node.disk.remove(`${containerFolder(pod)}/stage`);
}
