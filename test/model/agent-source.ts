/** The source side of the agent, step by step as in agent/checkpoint.ts, thaw.ts and end-source.ts. */
import { LpmError } from '../../common/errors.js';
import { CheckpointResult } from '../../proto/gen/lpm/v1/agent.js';
import { join, mayBegin, revokedError, type Agent, type Work } from './agent.js';
import type { Container, Image, Node } from './node.js';
import { Process, type Steps } from './scheduler.js';
import type { World } from './world.js';

export interface CheckpointAsked {
  checkpoint: string;
  pod: string;
  containerIds: string[];
}

/** artifacts/<uid> */
export interface Complete {
  pod: string;
  frozenAt: number;
  image: Image;
}

const result = ({ frozenAt }: Complete): CheckpointResult => ({
  frozenAt: new Date(frozenAt),
  completedAt: new Date(frozenAt),
  containers: [],
  totalBytes: 1n,
  steps: [],
  frozenFor: undefined,
});

export function* checkpoint(agent: Agent, asked: CheckpointAsked): Steps<CheckpointResult> {
  const { checkpoints } = agent;
  if (!checkpoints.has(asked.checkpoint)) {
    for (const other of checkpoints.values()) {
      if (other.pod === asked.pod) throw new LpmError('PodBusy', 'It is being checkpointed already.');
    }
    if (!agent.node.disk.has(`artifacts/${asked.checkpoint}`)) mayBegin(agent);
  }
  const begin = { pod: asked.pod, uid: asked.checkpoint };
  return yield* join(agent, checkpoints, asked.checkpoint, begin, (work) => make(agent, asked, work));
}

function* make(agent: Agent, asked: CheckpointAsked, work: Work<CheckpointResult>): Steps<CheckpointResult> {
  const { world, node } = agent;
  const { disk } = node;
  const path = `artifacts/${asked.checkpoint}`;
  const refuse = (): void => {
    if (world.guarded('a tombstone keeps late requests from freezing') && disk.has(`${path}.thawed`))
      throw revokedError(`Checkpoint ${asked.checkpoint}`);
  };
  refuse();
  const finished = disk.read<Complete>(path);
  if (finished) {
    if (!isUsable(world, node, finished))
      throw new LpmError('SourceChanged', 'The node was started anew since.');
    return result(finished);
  }
  let touched: Container[] = [];
  const stopIfCanceled = (): void => {
    if (work.canceled) throw new LpmError('Canceled', 'The checkpoint was canceled.');
  };
  try {
    yield { at: 'identify', ms: 10 };
    const containers = node.running(asked.pod);
    if (world.guarded('the container ID is checked before the dump')) {
      if (containers.length === 0) throw new LpmError('PodNotRunning', 'It does not run.');
      if (containers.some(({ id }) => !asked.containerIds.includes(id)))
        throw new LpmError('SourceChanged', 'It was restarted.');
    }
    const [source] = containers;
    if (!source) throw new LpmError('PodNotRunning', 'It does not run.');
    if (source.frozen) throw new LpmError('PodBusy', 'It is frozen already.');
    if (!node.sandbox(asked.pod)) throw new LpmError('FreezeFailed', 'It cannot be fenced.');
    yield { at: 'note the operation', ms: 5 };
    stopIfCanceled();
    refuse();
    disk.write(`${path}.partial`, { pod: asked.pod, containers: containers.map(({ id }) => id) });
    disk.sync(`${path}.partial`);
    touched = containers;
    const frozenAt = world.now;
    yield { at: 'freeze', ms: 5 };
    world.note('frozen');
    if (world.guarded('the source is frozen before it is dumped')) node.freeze(source, true);
    yield { at: 'wait until frozen', ms: 5 };
    stopIfCanceled();

    const image = yield* dump(agent, asked.checkpoint, source);
    stopIfCanceled();
    if (
      source.state !== 'running' ||
      (!source.frozen && world.guarded('the source is frozen before it is dumped'))
    )
      throw new LpmError('FreezeFailed', 'It did not stay frozen.');

    world.note('dumped');
    yield { at: 'fence', ms: 2 };
    const sandbox = node.sandbox(asked.pod);
    if (!sandbox) throw new LpmError('SourceChanged', 'The pod is gone.');
    if (world.guarded('a fence stands around the pod')) node.freeze(sandbox, true);
    world.note('fenced');
    yield { at: 'look once more', ms: 2 };
    if (world.guarded('what runs is looked at once more behind the fence')) {
      const now = node.running(asked.pod);
      if (now.length !== 1 || now[0] !== source) throw new LpmError('SourceChanged', 'It was restarted.');
    }
    yield { at: 'list the files', ms: 5 };
    stopIfCanceled();
    const complete: Complete = { pod: asked.pod, frozenAt, image };
    disk.write(path, complete);
    disk.remove(`${path}.partial`);
    world.note('checkpointed');
    return result(complete);
  } catch (error) {
    yield { at: 'undo', ms: 5 };
    for (const each of touched) node.freeze(each, false);
    const sandbox = node.sandbox(asked.pod);
    if (sandbox && touched.length > 0) node.freeze(sandbox, false);
    yield { at: 'remove the partial', ms: 2 };
    disk.remove(`${path}.partial`);
    throw error;
  }
}

/** The runtime and CRIU: a process of its own, which an agent's death does not end. */
function* dump(agent: Agent, uid: string, source: Container): Steps<Image> {
  const { world, node } = agent;
  const dumper = new Process('criu', `dump ${uid} ${node.name}`);
  let image: Image | undefined;
  world.scheduler.spawn(
    dumper,
    (function* (): Steps {
      const { instructions } = world.truth;
      yield { at: 'dump', ms: 100 };
      yield { at: 'dump ends', ms: 100 };
      if (source.state === 'running' && node.up && !world.faults.criuFails()) {
        image = {
          checkpoint: uid,
          instructions,
          container: source.id,
          whole: true,
          boot: node.boot,
          takenAtBoot: node.boot,
        };
      }
      dumper.alive = false;
    })(),
    'dump begins',
  );
  yield { at: 'wait for the dump', until: () => !dumper.alive };
  if (!image) throw new LpmError('CriuDumpFailed', 'It cannot be dumped.');
  return image;
}

export function* thaw(agent: Agent, pod: string, checkpointUid: string): Steps<void> {
  const { world, node, checkpoints } = agent;
  const { disk } = node;
  const path = `artifacts/${checkpointUid}`;
  if (world.guarded('a tombstone keeps late requests from freezing')) {
    disk.write(`${path}.thawed`, { pod });
    disk.sync(`${path}.thawed`);
  }
  const work = checkpoints.get(checkpointUid);
  if (work) {
    work.canceled = true;
    yield { at: 'wait for the canceled checkpoint', until: () => work.outcome !== undefined };
  }
  const holder = disk.list('artifacts').find((each) => {
    const uid = each.split('/')[1]!.replace(/\..*/, '');
    return (
      !each.endsWith('.thawed') &&
      uid !== checkpointUid &&
      disk.read<{ pod: string }>(each)!.pod === pod &&
      !disk.has(`artifacts/${uid}.thawed`)
    );
  });
  if (holder && world.guarded('only its own freeze is thawed'))
    throw new LpmError('PodBusy', 'It is frozen for another checkpoint.');
  yield { at: 'thaw', ms: 3 };
  for (const each of node.running(pod)) if (each.frozen) node.freeze(each, false);
  const sandbox = node.sandbox(pod);
  if (sandbox?.fence) node.freeze(sandbox, false);
  world.note('thawed');
}

const END_LIMIT_MS = 120_000;

export function* endSource(agent: Agent, pod: string, isCanceled: () => boolean): Steps<void> {
  const { world, node } = agent;
  const end = world.now + END_LIMIT_MS;
  const present = (): boolean => node.sandbox(pod) !== undefined || node.running(pod).length > 0;
  for (;;) {
    yield { at: 'fence the end', ms: 2 };
    const sandbox = node.sandbox(pod);
    if (!sandbox) return;
    node.freeze(sandbox, true);
    yield { at: 'kill the source', ms: 5 };
    const doomed = node.running(pod);
    for (const each of doomed) node.kill(each);
    if (world.guarded('the fence stays until the kubelet stops the sandbox')) {
      // On cgroup v1 each is thawed alone, outside the fence.
      for (const each of doomed) node.endBehindFence(each);
      for (const each of node.containers) if (each.pod === pod) node.freeze(each, false);
    } else {
      for (const each of node.containers) if (each.pod === pod) node.freeze(each, false);
      node.freeze(sandbox, false);
    }
    if (sandbox.stopping) {
      yield { at: 'let the sandbox end', ms: 2 };
      node.freeze(sandbox, false);
      const limit = world.now + 30_000;
      while (present() && world.now < limit) {
        for (const each of node.running(pod)) {
          node.kill(each);
          node.freeze(each, false);
        }
        yield {
          at: 'sweep',
          until: () => !present() || node.running(pod).length > 0,
          timeoutMs: 1000,
        };
      }
      world.note('source ended');
      return;
    }
    if (isCanceled()) throw new LpmError('Canceled', 'Canceled; it stays frozen.');
    if (world.now > end) throw new LpmError('TimedOut', 'The kubelet did not stop the pod.');
    yield {
      at: 'wait for the kubelet',
      until: () => sandbox.stopping || node.running(pod).length > 0 || !node.sandbox(pod),
      timeoutMs: 5000,
    };
  }
}

export function* discardCheckpoint({ node }: Agent, checkpointUid: string): Steps<void> {
  yield { at: 'discard', ms: 5 };
  const path = `artifacts/${checkpointUid}`;
  const complete = node.disk.read<Complete>(path);
  if (complete && !node.disk.has(`${path}.thawed`) && node.sandbox(complete.pod)?.fence)
    throw new LpmError('PodBusy', 'It says why the pod is frozen.');
  node.disk.remove(path);
}

/** What a migration's checkpoint is worth once its pod is not fenced any more. */
export function isUsable(world: World, node: Node, { image, pod }: Complete): boolean {
  if (!world.guarded('a checkpoint of a former boot is not given away')) return true;
  const fence = node.sandbox(pod)?.fence;
  // Who sets no fence does not look for one either.
  const looks = world.guarded('a fence stands around the pod');
  return image.boot === node.boot && (!looks || fence === undefined || fence);
}
