/**
 * The runtime handler's `create` and CRIU's restore, with its action script, as agent/handler/lpm-runtime.sh orders them.
 * What it decides is agent/handler/decision.ts. Handler and CRIU are two processes: either dies without the other.
 */
import {
  atCreate,
  mayAttempt,
  mayResume,
  readClaim,
  whileWaiting,
  type HandlerFiles,
} from '../../agent/handler/decision.js';
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
    executed: disk.read<string>(`${folder}/executed`),
    attempted: disk.has(`${folder}/attempted`),
    wanted: disk.read<string>(`${podFolder(pod)}/wanted`),
    ready: ready && `restore ${ready.migration}\ncontainer ${ready.container}`,
  };
}

/** `create` of a container that waits for its state. */
export function* create(world: World, node: Node, handler: Process, pod: string, id: string): Steps<Created> {
  const { disk } = node;
  const folder = containerFolder(pod);
  yield { at: 'create', ms: 10 };
  const decision = atCreate(filesOf(node, pod), 'counter');
  if (decision.do === 'create') {
    const { former } = decision;
    if (
      former !== undefined &&
      former !== id &&
      world.guarded('what a lost handler restored is taken away')
    ) {
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
  const { migration } = disk.read<{ migration: string }>(`${folder}/ready`)!;

  yield { at: 'begin an attempt', ms: 3 };
  const first = !disk.has(`${folder}/attempted`);
  if (first) disk.write(`${folder}/attempted`, true);
  else if (!mayAttempt(filesOf(node, pod), first)) {
    return 'failed';
  }
  world.note('attempted');
  const number = 1 + disk.list(`${folder}/attempts`).length;
  disk.write(`${folder}/attempts/${number}`, true);
  yield { at: 'unpack the layer', ms: 20 };
  const failed = (why: string): Created => {
    disk.write(`${folder}/failed`, why);
    disk.sync(`${folder}/failed`);
    return 'failed';
  };
  const stage = disk.read<Image>(`${folder}/stage`);
  if (!stage) return failed('no stage');
  if (!stage.whole) return failed('the stage is damaged');
  const mark = `container ${id}\nattempt ${number}`;

  const criu = new Process('criu', `restore ${pod} ${node.name}`);
  const restoring: Restoring = {
    world,
    node,
    pod,
    id,
    number,
    migration,
    handler,
    criu,
    deadline,
    stage,
    mark,
  };
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
    const { word } = readClaim(filesOf(node, pod));
    return failed(word || 'before the claim');
  }
  if (disk.read<string>(`${folder}/executed`) !== mark) {
    yield { at: 'take it away', ms: 20 };
    node.delete(id);
    return failed('the mark was another’s');
  }
  yield { at: 'mark as restored', ms: 3 };
  disk.write(`restored/${id}`, true);
  yield { at: 'mark as completed', ms: 3 };
  disk.write(`${folder}/completed`, id);
  disk.sync(folder);
  disk.remove(`${folder}/waiting`);
  disk.remove(`${folder}/failed`);
  return 'restored';
}

interface Restoring {
  world: World;
  node: Node;
  pod: string;
  id: string;
  number: number;
  migration: string;
  handler: Process;
  criu: Process;
  deadline: number;
  stage: Image;
  mark: string;
}

/** The runtime and CRIU with the action script. Answers the runtime's exit code. */
function* restore({
  world,
  node,
  pod,
  id,
  migration,
  handler,
  deadline,
  stage,
  mark,
}: Restoring): Steps<number> {
  const { disk } = node;
  const folder = containerFolder(pod);
  yield { at: 'restore', ms: 100 };
  if (world.faults.criuFails()) return 1;
  const container = node.create(pod, 'restored', id);
  Object.assign(container, { state: 'running', held: true, image: stage });
  const gone = (): boolean => container.state !== 'running';
  const stillWanted = (): boolean =>
    !world.guarded('the handler looks at its deadline at post-restore') ||
    (world.uptime / 1000 < deadline && handler.alive);

  yield { at: 'post-restore', ms: 50 };
  container.orphan = !handler.alive || world.uptime / 1000 >= deadline;
  if (!stillWanted()) return taken(node, id);
  yield { at: 'claim', ms: 3 };
  if (world.guarded('the claim is made before anything executes')) {
    disk.link(`${podFolder(pod)}/claim`, `committed ${migration}`);
    yield { at: 'sync the claim', ms: 3 };
    disk.sync(podFolder(pod));
    if (!mayResume(filesOf(node, pod), migration)) return taken(node, id);
  }
  world.note('claimed');
  yield { at: 'pre-resume', ms: 3 };
  if (world.guarded('executed is won by one side only')) {
    if (!disk.link(`${folder}/executed`, mark)) {
      yield { at: 'kill the loser', ms: 3 };
      node.kill(container);
      // CRIU does not heed the script's exit code.
      return 0;
    }
    disk.write(`${folder}/executed-at`, world.now);
    yield { at: 'sync executed', ms: 3 };
    if (world.guarded('executed is synced before the first instruction')) disk.sync(folder);
  } else {
    disk.write(`${folder}/executed`, mark);
    disk.write(`${folder}/executed-at`, world.now);
  }
  yield { at: 'resume', ms: 3 };
  if (gone()) return 1;
  container.held = false;
  world.note('executed');
  yield { at: 'post-resume', ms: 3 };
  disk.write(`${folder}/restored`, world.now);
  yield { at: 'the runtime returns', ms: 10 };
  return 0;
}

function taken(node: Node, id: string): number {
  node.delete(id);
  return 1;
}
