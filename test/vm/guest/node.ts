/** The guest as a node: its containerd, its agent, and pods that write without a pause. */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { freezerOf, processesBelow, type FreezerCgroup } from '../../../agent/cgroup.js';
import { DEFAULT_RUNTIME_ROOTS } from '../../../agent/oci.js';
import { AGENT_PORT, ANNOTATION } from '../../../common/api/names.js';
import {
  TcpMode,
  type CheckpointResult,
  type Progress,
  type RestoreResult,
} from '../../../proto/gen/lpm/v1/agent.js';
import { AgentClient, type ClientTls } from '../../agent/client.js';
import { openCri, runPod, type Cri, type RunningPod, type TestPod } from '../../cluster/cri.js';
import { memoryImage } from '../../cluster/images/images.js';
import { countProblem, countsIn } from '../../support/counts.js';
import { until } from '../../support/until.js';
import { criSocket, guestFiles, guestNode } from './places.js';

const exec = promisify(execFile);

/** Emulated, everything takes about ten times as long; a guest beside other work longer still. */
const patience = { timeoutMs: 90_000, everyMs: 50 };
export const eventually = <T>(
  what: string,
  look: () => Promise<T | undefined | false> | T | undefined | false,
) => until(what, look, patience);

/** A container of a pod, and the file that it writes to. */
export interface Writer {
  name: string;
  containerId: string;
  file: string;
}

export interface WriterPod extends RunningPod {
  writers: Writer[];
}

/** A pod that waits for its state in the runtime handler. */
export interface Target extends WriterPod {
  migration: string;
  /** The start that waits; undefined is success. */
  started: Promise<Error | undefined>;
}

/** A parent that waits for its child, which writes a line every millisecond. */
function writing(container: string): string[] {
  const child =
    'open F, ">>", $ARGV[0] or die; while (1) { syswrite F, "Count=" . ++$n . "\\n"; select undef, undef, undef, 0.001 }';
  return ['/bin/sh', '-c', `echo starts; perl -e '${child}' /data/${container}.log & wait`];
}

export class GuestNode {
  private constructor(
    readonly cri: Cri,
    readonly agent: AgentClient,
  ) {}

  /** Waits until containerd and the agent serve, and gives containerd the images. */
  static async open(): Promise<GuestNode> {
    await eventually('containerd serves', () => existsSync(criSocket));
    for (const name of readdirSync(guestFiles.images)) {
      const archive = join(guestFiles.images, name);
      await exec('ctr', [
        ...['-n', 'k8s.io', 'images', 'import', '--local'],
        ...['--index-name', decodeURIComponent(name), archive],
      ]);
    }
    const tls = JSON.parse(readFileSync(guestFiles.controllerTls, 'utf8')) as ClientTls;
    const agent = AgentClient.connect(`127.0.0.1:${AGENT_PORT}`, guestNode, tls);
    await agent.serving(patience.timeoutMs);
    return new GuestNode(openCri(criSocket), agent);
  }

  /** A pod whose containers write, each to a file of its own. */
  async startWriters(names: readonly string[] = ['main'], more: Partial<TestPod> = {}): Promise<WriterPod> {
    const [first = 'main', ...others] = names;
    const pod = await this.makePod(first, more);
    await pod.start();
    for (const name of others) {
      const containerId = await pod.createContainer({ name, command: writing(name) });
      await this.cri.runtime.startContainer({ containerId });
      pod.writers.push({ name, containerId, file: fileOf(pod, name) });
    }
    await this.writesOn(pod);
    return pod;
  }

  /** The pod that a migration makes of another: its container waits in the runtime handler. */
  async startTarget(source: RunningPod): Promise<Target> {
    const migration = randomUUID();
    const pod = await this.makePod('main', {
      name: `${source.name}-restored`,
      handler: 'lpm',
      annotations: { [ANNOTATION.migration]: migration },
    });
    const started = pod.start().then(
      () => undefined,
      (error: Error) => error,
    );
    await eventually('the runtime handler waits', async () => {
      const { target } = await this.agent.call('getPodState', { podUid: pod.uid });
      return target?.containers[0]?.waiting;
    });
    return { ...pod, migration, started };
  }

  private async makePod(container: string, more: Partial<TestPod>): Promise<WriterPod> {
    const pod = await runPod(
      { path: (inside) => inside },
      this.cri,
      {
        name: `writer-${randomUUID().slice(0, 8)}`,
        container,
        image: memoryImage,
        command: writing(container),
        emptyDirs: { data: '/data' },
        ...more,
      },
      { startContainer: false },
    );
    return {
      ...pod,
      writers: [{ name: container, containerId: pod.containerId, file: fileOf(pod, container) }],
    };
  }

  async checkpoint(
    { name, namespace, uid, writers }: WriterPod,
    checkpointUid: string = randomUUID(),
    onProgress?: (progress: Progress) => void,
  ): Promise<CheckpointResult & { uid: string }> {
    const request = {
      checkpointUid,
      pod: { name, namespace, uid },
      containers: writers.map((writer) => ({ name: writer.name, containerId: writer.containerId })),
      tcp: TcpMode.TCP_MODE_CLOSE,
      thawAfter: false,
      owner: {
        restoreUid: randomUUID(),
        migrationName: 'moving',
        targetPodUid: randomUUID(),
        targetNodeName: guestNode,
      },
      dumpTimeout: { seconds: BigInt(patience.timeoutMs / 1000), nanos: 0 },
      archive: undefined,
    };
    const result = (await this.agent.checkpoint(request, onProgress)) as CheckpointResult;
    return { ...result, uid: checkpointUid };
  }

  /** From this node's own disk. */
  async restore(target: Target, checkpointUid: string, hold = false): Promise<RestoreResult> {
    const { name, namespace, uid, migration } = target;
    return (await this.agent.restore({
      restoreUid: migration,
      pod: { name, namespace, uid },
      checkpointUid,
      sourceAddress: '',
      sourceNodeName: '',
      containerNames: target.writers.map((writer) => writer.name),
      hold,
      archives: [],
    })) as RestoreResult;
  }

  async thaw({ name, namespace, uid }: RunningPod, checkpointUid: string): Promise<string[]> {
    return (await this.agent.call('thaw', { pod: { name, namespace, uid }, checkpointUid })).thawed;
  }

  /** It may be awaited late: a scenario that fails meanwhile says why itself. */
  endSource({ name, namespace, uid }: RunningPod): Promise<number> {
    const killed = this.agent
      .call('endSource', { pod: { name, namespace, uid } })
      .then(({ killedProcesses }) => killedProcesses);
    killed.catch(() => {});
    return killed;
  }

  sourceState = async (pod: RunningPod) => (await this.agent.call('getPodState', { podUid: pod.uid })).source;

  /** Waits until every container of the pod has written more than now. */
  async writesOn({ name, writers }: WriterPod): Promise<void> {
    for (const { file, name: container } of writers) {
      const before = sizeOf(file);
      await eventually(`container ${container} of ${name} writes`, () => sizeOf(file) > before + 100);
    }
  }

  /** The agent as a kill and its supervisor leave it: a new one. */
  async replaceAgent(): Promise<void> {
    process.kill(Number(readFileSync('/run/lpm-node/agent.pid', 'utf8')), 'SIGKILL');
    await eventually('the new agent answers', () => this.agent.serving(1000).then(() => true));
  }
}

const fileOf = (pod: RunningPod, container: string): string => `${pod.volumes.data}/${container}.log`;

export const sizeOf = (file: string): number => (existsSync(file) ? statSync(file).size : 0);
export const sizesOf = ({ writers }: WriterPod): number[] => writers.map(({ file }) => sizeOf(file));

/** The sizes of the pod's files, as they are now and still are half a second later: a writer adds hundreds of lines in that time. */
export async function stillSizes(pod: WriterPod): Promise<{ now: number[]; later: number[] }> {
  const now = sizesOf(pod);
  await delay(500);
  return { now, later: sizesOf(pod) };
}

/** What is wrong with what the pod's containers have written: each must have written 1, 2, 3, … */
export function writtenProblem({ writers }: WriterPod): string | undefined {
  for (const { name, file } of writers) {
    const problem = countProblem(countsIn(readFileSync(file, 'utf8')));
    if (problem) return `container ${name}: ${problem}`;
  }
  return undefined;
}

/** Where a container's processes are, by the OCI runtime's state. */
export function cgroupOf(containerId: string): FreezerCgroup {
  for (const root of DEFAULT_RUNTIME_ROOTS) {
    const file = join(root, containerId, 'state.json');
    if (!existsSync(file)) continue;
    const { init_process_pid: pid } = JSON.parse(readFileSync(file, 'utf8')) as { init_process_pid: number };
    const cgroup = freezerOf(readFileSync(`/proc/${pid}/cgroup`, 'utf8'), '/sys/fs/cgroup');
    if (cgroup) return cgroup;
  }
  throw new Error(`runc knows no container ${containerId}`);
}

/** cgroup.events of cgroups(7): "populated" and "frozen", as the kernel writes them. */
export function eventsOf(dir: string): Record<string, string> {
  const lines = readFileSync(join(dir, 'cgroup.events'), 'utf8').trim().split('\n');
  return Object.fromEntries(lines.map((line) => line.split(' ') as [string, string]));
}

/** Every process of the node whose cgroup belongs to the pod. */
export function processesOf({ uid }: RunningPod): number[] {
  const names = [`pod${uid}`, `pod${uid.replaceAll('-', '_')}`];
  return processesBelow('/sys/fs/cgroup').filter((pid) => {
    try {
      const cgroup = readFileSync(`/proc/${pid}/cgroup`, 'utf8');
      return names.some((name) => cgroup.includes(name));
    } catch {
      return false;
    }
  });
}

/** Ends a pod that no scenario looks at any more: removing it properly takes an emulated node ten seconds. */
export async function discard(pod: RunningPod): Promise<void> {
  writeFileSync(join(dirname(cgroupOf(pod.sandboxId).dir), 'cgroup.kill'), '1');
  await eventually(`${pod.name} is gone`, () => processesOf(pod).length === 0);
}

/** The ends of the logs of the node's daemons, for a scenario that fails. */
export function logs(): string {
  return ['agent', 'containerd']
    .map((name) => {
      const file = `/var/log/lpm-node/${name}.log`;
      const end = existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n').slice(-12) : ['(none)'];
      return `--- ${name}.log\n${end.join('\n')}`;
    })
    .join('\n');
}
