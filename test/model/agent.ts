/** The agent of a node: what it remembers while it lives, how it begins, and what it tells. */
import { LpmError } from '../../common/errors.js';
import {
  CheckpointResult,
  Claim,
  GetPodStateResponse,
  type RestoreResult,
} from '../../proto/gen/lpm/v1/agent.js';
import type { Disk } from './disk.js';
import { claimOf, letGo, observeContainer } from './agent-target.js';
import type { Node } from './node.js';
import { Process, type Steps } from './scheduler.js';
import type { World } from './world.js';

/** Work that several callers join; it goes on when they go away. */
export interface Work<T> {
  pod: string;
  uid: string;
  canceled: boolean;
  outcome?: { value: T } | { error: unknown };
}

export interface Agent {
  world: World;
  node: Node;
  process: Process;
  checkpoints: Map<string, Work<CheckpointResult>>;
  restores: Map<string, Work<RestoreResult>>;
  /** When it was told to end. */
  endingSince?: number;
}

/** Joins work that is under way, or starts it. */
export function* join<T>(
  { world, process }: Agent,
  all: Map<string, Work<T>>,
  key: string,
  begin: { pod: string; uid: string },
  steps: (work: Work<T>) => Steps<T>,
): Steps<T> {
  let work = all.get(key);
  if (!work) {
    const made: Work<T> = { ...begin, canceled: false };
    work = made;
    all.set(key, made);
    world.scheduler.spawn(
      process,
      (function* (): Steps {
        try {
          made.outcome = { value: yield* steps(made) };
        } catch (error) {
          made.outcome = { error };
        }
        all.delete(key);
      })(),
      `begin ${key}`,
    );
  }
  const joined = work;
  yield { at: `wait for ${key}`, until: () => joined.outcome !== undefined };
  const outcome = joined.outcome!;
  if ('error' in outcome) throw outcome.error;
  return outcome.value;
}

/** GetPodState. Reading syncs what somebody may act on. */
export function* podState(agent: Agent, pod: string): Steps<GetPodStateResponse> {
  const { world, node, checkpoints } = agent;
  yield { at: 'look', ms: 1 };
  const { disk } = node;
  const sandbox = node.sandbox(pod);
  const newest = node.newest(pod);
  const held = disk
    .list('artifacts')
    .map((path) => ({ path, record: disk.read<{ pod: string }>(path)! }))
    .filter(({ path, record }) => !path.endsWith('.thawed') && record.pod === pod);
  const target = observeContainer(world, node, pod);
  const folder = `pods/${pod}`;
  const { claim } = claimOf(world, node, pod);
  return GetPodStateResponse.fromPartial({
    ending: agent.endingSince !== undefined,
    source: {
      containers: newest
        ? [
            {
              name: 'counter',
              containerId: newest.id,
              running: newest.state === 'running',
              frozen: node.isFrozen(newest),
              attempt: newest.attempt,
            },
          ]
        : [],
      podCgroupFrozen: sandbox?.fence ?? false,
      checkpoints: held.map(({ path }) => {
        const uid = path.split('/')[1]!.replace(/\..*/, '');
        return { checkpointUid: uid, complete: !path.endsWith('.partial'), inProgress: checkpoints.has(uid) };
      }),
    },
    target: {
      claim,
      containers: disk.list(folder).length
        ? [
            {
              name: 'counter',
              waiting: target.handler?.alive === true && !target.attempted,
              waitLeft: {
                seconds: BigInt(
                  Math.max(0, Math.floor(((target.handler?.deadline ?? 0) * 1000 - world.uptime) / 1000)),
                ),
                nanos: 0,
              },
              staged: target.readyFor !== undefined,
              attempted: target.attempted,
              completed: target.attempted && claim === Claim.CLAIM_COMMITTED,
              failed: target.failure !== undefined,
              failure: target.failure?.sentence ?? '',
            },
          ]
        : [],
      ...(target.restoredAt ? { restoredAt: target.restoredAt } : {}),
    },
  });
}

/** Starts the agent's process: first what a former one left half done is taken back, then it serves. */
export function startAgent(world: World, node: Node): void {
  const process = new Process('agent', `agent ${node.name}`);
  node.agent = process;
  const agent: Agent = { world, node, process, checkpoints: new Map(), restores: new Map() };
  world.scheduler.spawn(process, recover(world, agent), 'start agent');
}

const DUMPER_PATIENCE_MS = 60_000;

/** As agent/ending.ts has them. */
const ENDING_MS = 50_000;
const BEGINS_MS = 15_000;

/** SIGTERM: it ends when nothing on its node needs it any more, or after a while; the next one is started then. */
export function endAgent(world: World, node: string): void {
  const agent = serving(world, node);
  if (!agent || agent.endingSince !== undefined) return;
  agent.endingSince = world.now;
  world.scheduler.spawn(agent.process, lastWork(agent), 'agent ends');
}

function* lastWork(agent: Agent): Steps {
  yield { at: '.the agent ends later', until: () => !isNeeded(agent), timeoutMs: ENDING_MS };
  agent.world.note(isNeeded(agent) ? 'agent ended in the middle' : 'agent ended');
  agent.world.crash(agent.process);
}

/** Half of something, the artifacts of a source that is neither ended nor thawed, or a stage. */
function isNeeded({ world, node, checkpoints, restores }: Agent): boolean {
  const held = node.disk.list('artifacts').some((path) => !path.endsWith('.thawed'));
  const staged = [...podsOf(node.disk)].some((pod) => {
    const { readyFor } = observeContainer(world, node, pod);
    return readyFor !== undefined && claimOf(world, node, pod).claim !== Claim.CLAIM_REVOKED;
  });
  return checkpoints.size > 0 || restores.size > 0 || held || staged;
}

/** Before a pod is frozen. */
export function mayBegin({ world, endingSince }: Agent): void {
  if (endingSince === undefined || world.now - endingSince < BEGINS_MS) return;
  throw new LpmError('AgentNotReachable', 'This agent is being replaced.');
}

function* recover(world: World, agent: Agent): Steps {
  const { node } = agent;
  const { disk } = node;
  yield { at: 'agent starts', ms: 500 };
  if (world.guarded('a new agent lets go what its predecessor has claimed')) {
    for (const pod of podsOf(disk)) {
      const { held, restoredAt } = observeContainer(world, node, pod);
      if (held && !restoredAt && claimOf(world, node, pod).claim === Claim.CLAIM_COMMITTED) {
        yield* letGo(agent, pod);
      }
    }
  }
  for (const path of disk.list('artifacts').filter((each) => each.endsWith('.partial'))) {
    const { pod, containers } = disk.read<{ pod: string; containers: string[] }>(path)!;
    const dumpers = world.dumpersOf(node, path.split('/')[1]!.replace(/\..*/, ''));
    yield {
      at: 'wait for the dumper',
      until: () => dumpers.every((each) => !each.alive),
      timeoutMs: DUMPER_PATIENCE_MS,
    };
    yield { at: 'thaw what was left', ms: 5 };
    for (const each of node.containers) if (containers.includes(each.id)) node.freeze(each, false);
    const sandbox = node.sandbox(pod);
    if (sandbox && containers.some((id) => node.running(pod).some((each) => each.id === id)))
      node.freeze(sandbox, false);
    yield { at: 'remove what was left', ms: 5 };
    disk.remove(path);
  }
  world.agents.set(node.name, agent);
  world.note('agent restarted');
}

/** Pods that the node holds anything of. */
function podsOf(disk: Disk): Set<string> {
  return new Set(disk.list('pods').map((path) => path.split('/')[1]!));
}

/** The agent that serves now on a node. */
export function serving(world: World, node: string): Agent | undefined {
  const agent = world.agents.get(node);
  return agent?.process.alive ? agent : undefined;
}

export const revokedError = (what: string): LpmError => new LpmError('Revoked', `${what} was taken back.`);
export { Claim };
