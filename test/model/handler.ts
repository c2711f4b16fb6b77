/**
 * The runtime handler's `create` and CRIU's restore, with its action script, as agent/handler/lpm-runtime.sh orders them.
 * What it decides is agent/handler/decision.ts. Handler and CRIU are two processes: either dies without the other.
 */
import { atCreate, mayHold, whileWaiting, type HandlerFiles } from '../../agent/handler/decision.js';
import { containerFolder, podFolder, type Waiting } from './agent-target.js';
import type { Image, Node } from './node.js';
import { Process, type Steps } from './scheduler.js';
import type { World } from './world.js';

const WAIT_SECONDS = 100;

export type Created = 'plain' | 'restored' | 'failed';

function filesOf(node: Node, pod: string): HandlerFiles {
  const { disk } = node;
  const folder = containerFolder(pod);
  const ready = disk.read<{ migration: string; container: string }>(`${folder}/ready`);
  return {
    claim: disk.read<string>(`${podFolder(pod)}/claim`),
    attempted: disk.has(`${folder}/attempted`),
    held: disk.read<string>(`${folder}/held`),
    ready: ready && `restore ${ready.migration}\ncontainer ${ready.container}`,
  };
}

/** `create` of a container that waits for its state. */
export function* create(world: World, node: Node, handler: Process, pod: string, id: string): Steps<Created> {
  const { disk } = node;
  const folder = containerFolder(pod);
  yield { at: 'create', ms: 10 };
  const decision = atCreate(filesOf(node, pod));
  if (decision.do === 'create') {
    const { former } = decision;
    if (former !== undefined && former !== id) {
      const runs = (): boolean =>
        node.containers.some((each) => each.id === former && each.state === 'running');
      if (runs()) {
        yield { at: 'take away the former', ms: 20 };
        node.delete(former);
      }
      // One that is frozen with its pod does not end: then it is not started a second time.
      if (runs()) return 'failed';
    }
    return 'plain';
  }
  if (decision.do === 'refuse') return 'failed';

  const deadline = Math.floor(world.uptime / 1000) + WAIT_SECONDS;
  yield { at: 'write waiting', ms: 3 };
  disk.write(`${folder}/waiting`, { handler, container: id, deadline } satisfies Waiting);
  const pastDeadline = (): boolean => world.uptime / 1000 >= deadline;
  for (;;) {
    const next = whileWaiting(filesOf(node, pod), id, pastDeadline());
    if (next === 'restore') break;
    if (next === 'refuse') return 'failed';
    yield {
      at: 'wait for the state',
      until: () => whileWaiting(filesOf(node, pod), id, pastDeadline()) !== 'wait',
      timeoutMs: Math.max(0, deadline * 1000 - world.uptime),
    };
  }
  yield { at: 'begin an attempt', ms: 3 };
  if (disk.has(`${folder}/attempted`)) return 'failed';
  disk.write(`${folder}/attempted`, true);
  world.note('attempted');
  yield { at: 'unpack the layer', ms: 20 };
  const failed = (why: string): Created => {
    disk.write(`${folder}/failed`, why);
    disk.sync(`${folder}/failed`);
    return 'failed';
  };
  const stage = disk.read<Image>(`${folder}/stage`);
  if (!stage) return failed('no stage');
  if (!stage.whole) return failed('the stage is damaged');

  const criu = new Process('criu', `restore ${pod} ${node.name}`);
  const restoring: Restoring = { world, node, pod, id, handler, deadline, stage };
  let status: number | undefined;
  world.scheduler.spawn(
    criu,
    (function* (): Steps {
      status = yield* restore(restoring);
      criu.alive = false;
    })(),
    'runtime restores',
  );
  yield { at: 'wait for the runtime', until: () => !criu.alive };
  if (status !== 0) {
    yield { at: 'take it away', ms: 20 };
    node.delete(id);
    yield { at: 'say that it failed', ms: 3 };
    return failed('the restore failed');
  }
  yield { at: 'say that it is held', ms: 3 };
  disk.write(`${folder}/held`, `container ${id}`);
  disk.remove(`${folder}/waiting`);
  disk.remove(`${folder}/failed`);
  return 'restored';
}

interface Restoring {
  world: World;
  node: Node;
  pod: string;
  id: string;
  handler: Process;
  deadline: number;
  stage: Image;
}

/** The runtime and CRIU with the action script. Answers the runtime's exit code. */
function* restore({ world, node, pod, id, handler, deadline, stage }: Restoring): Steps<number> {
  yield { at: 'restore', ms: 100 };
  if (world.faults.criuFails()) return 1;
  const container = node.create(pod, 'restored', id);
  Object.assign(container, { state: 'running', held: true, image: stage });

  yield { at: 'post-restore', ms: 50 };
  const wanted = world.uptime / 1000 < deadline && handler.alive;
  if (!wanted || !mayHold(filesOf(node, pod))) {
    node.delete(id);
    return 1;
  }
  yield { at: 'pre-resume', ms: 3 };
  if (world.guarded('what is restored is frozen before CRIU lets it go')) node.freeze(container, true);
  yield { at: 'resume', ms: 3 };
  if (container.state !== 'running') return 1;
  container.held = false;
  world.note('held');
  yield { at: 'the runtime returns', ms: 10 };
  return 0;
}
