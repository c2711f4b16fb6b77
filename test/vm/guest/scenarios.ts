/** What must hold on a node with cgroup v2 alone. Each scenario makes its own pod, and looks at the world, not at calls. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isFrozenItself, processesBelow } from '../../../agent/cgroup.js';
import { freezeAll, thawAll } from '../../../agent/freeze.js';
import { isAlive } from '../../../agent/process.js';
import { Claim, Step, type CheckpointResult } from '../../../proto/gen/lpm/v1/agent.js';
import { ContainerState } from '../../../proto/gen/runtime/v1/cri.js';
import { AgentError } from '../../agent/client.js';
import { removePodCgroup } from '../../cluster/kubelet/cgroups.js';
import {
  cgroupOf,
  discard,
  eventsOf,
  eventually,
  processesOf,
  sizeOf,
  sizesOf,
  stillSizes,
  writtenProblem,
  type GuestNode,
  type WriterPod,
} from './node.js';

type Note = (text: string) => void;

export interface Scenario {
  title: string;
  run(node: GuestNode, note: Note): Promise<void>;
}

export const scenarios: Scenario[] = [
  {
    title: 'the node has cgroup v2 alone, and the agent finds it fit',
    async run({ agent }, note) {
      const mounts = readFileSync('/proc/mounts', 'utf8').split('\n');
      const cgroups = mounts.map((line) => line.split(' ')).filter(([, , type = '']) => /^cgroup/.test(type));
      assert.deepEqual(
        cgroups.map(([, at, type]) => [at, type]),
        [['/sys/fs/cgroup', 'cgroup2']],
      );
      const info = await agent.call('getNodeInfo', {});
      assert.deepEqual([info.criuProblem, info.handlerProblem], ['', '']);
      assert.ok(info.handlerReady);
      note(`Linux ${readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim()}, CRIU ${info.criuVersion}`);
    },
  },
  {
    title: 'frozen together, two containers write nothing more; thawed, they go on without a gap',
    async run(node) {
      const pod = await node.startWriters(['main', 'second']);
      const cgroups = pod.writers.map(({ containerId }) => cgroupOf(containerId));
      await freezeAll(cgroups);
      const { now, later } = await stillSizes(pod);
      assert.deepEqual(later, now);
      for (const { dir } of cgroups) assert.deepEqual(eventsOf(dir), { populated: '1', frozen: '1' });
      assert.equal(eventsOf(podDirOf(pod)).frozen, '0', 'the sandbox is not frozen');
      thawAll(cgroups);
      await node.writesOn(pod);
      for (const { dir } of cgroups) assert.equal(eventsOf(dir).frozen, '0');
      assert.equal(writtenProblem(pod), undefined);
      await discard(pod);
    },
  },
  {
    title: 'dumped, the containers are still frozen, their images are complete, and their pod is fenced',
    async run(node, note) {
      const pod = await node.startWriters(['main', 'second']);
      const cgroups = pod.writers.map(({ containerId }) => cgroupOf(containerId));
      const taken = await node.checkpoint(pod);
      const { now, later } = await stillSizes(pod);
      assert.deepEqual(later, now);
      for (const cgroup of cgroups) {
        assert.ok(isFrozenItself(cgroup));
        assert.equal(eventsOf(cgroup.dir).frozen, '1');
      }
      assertFenced(pod);
      const state = await node.sourceState(pod);
      assert.deepEqual(
        [state?.podCgroupFrozen, state?.containers.map(({ running, frozen }) => running && frozen)],
        [true, [true, true]],
      );
      assertImagesComplete(taken);
      note(steps(taken));
      assert.deepEqual((await node.thaw(pod, taken.uid)).sort(), ['main', 'second']);
      await node.writesOn(pod);
      assert.equal(eventsOf(podDirOf(pod)).frozen, '0');
      assert.equal(writtenProblem(pod), undefined);
      await discard(pod);
    },
  },
  {
    title:
      'a container that is started behind the fence never runs; thawed, the source goes on without a gap',
    async run(node) {
      const pod = await node.startWriters();
      const taken = await node.checkpoint(pod);
      const containerId = await pod.createContainer({ name: 'late', command: ['/bin/touch', '/data/late'] });
      await assert.rejects(node.cri.runtime.startContainer({ containerId }, GIVE_UP_MS), /DEADLINE_EXCEEDED/);
      assert.equal(existsSync(join(dataOf(pod), 'late')), false, 'it has not run');
      const { now, later } = await stillSizes(pod);
      assert.deepEqual(later, now);
      assertFenced(pod);
      assert.deepEqual(await node.thaw(pod, taken.uid), ['main']);
      await node.writesOn(pod);
      assert.equal(writtenProblem(pod), undefined);
      assert.equal(
        existsSync(join(dataOf(pod), 'late')),
        false,
        'a start that was given up is not made up for',
      );
      await discard(pod);
    },
  },
  {
    title: 'an agent that dies during the dump leaves a source that its successor thaws',
    async run(node, note) {
      const pod = await node.startWriters();
      const uid = randomUUID();
      let replaced: Promise<void> | undefined;
      const outcome = await node
        .checkpoint(pod, uid, ({ step }) => {
          if (step === Step.STEP_DUMP) replaced ??= node.replaceAgent();
        })
        .then(
          () => 'completed',
          () => 'cut off',
        );
      note(`the checkpoint was ${outcome}`);
      assert.ok(replaced, 'the dump was reached');
      await replaced;
      if (outcome === 'completed') await node.thaw(pod, uid);
      await node.writesOn(pod);
      assert.equal(writtenProblem(pod), undefined);
      await discard(pod);
    },
  },
  {
    title: 'ended while it is frozen, a source writes not one more line, and its sandbox goes',
    async run(node) {
      const pod = await node.startWriters();
      await node.checkpoint(pod);
      const before = sizesOf(pod);
      // On cgroup v2 a signal that ends a process need not wait for a thaw; the kubelet's SIGTERM reaches all of them.
      const child = childOf(pod);
      process.kill(child, 'SIGTERM');
      await eventually('the frozen child is dead', () => !isAlive(child));
      assertFenced(pod);
      assert.deepEqual(sizesOf(pod), before);
      const ending = node.endSource(pod);
      await exited(node, pod);
      // As the kubelet does when it comes to the deletion: containers first, then the sandbox.
      await node.cri.runtime.stopContainer({ containerId: pod.containerId, timeout: 0n });
      await node.cri.runtime.stopPodSandbox({ podSandboxId: pod.sandboxId });
      assert.ok((await ending) >= 1, 'the parent was killed');
      assert.deepEqual(sizesOf(pod), before);
      await assertGone(node, pod);
      assert.equal(await node.endSource(pod), 0, 'asked again, there is nothing to end');
    },
  },
  {
    title: 'while a source is ended, the fence stays up for what the runtime is only about to start',
    async run(node) {
      const pod = await node.startWriters();
      await node.checkpoint(pod);
      const before = sizesOf(pod);
      // A restart in the kubelet's hands has a cgroup before the runtime lists its container.
      const unlisted = await startBehindFence(podDirOf(pod), join(dataOf(pod), 'unlisted'));
      try {
        const ending = node.endSource(pod);
        await exited(node, pod);
        assert.deepEqual(sizesOf(pod), before);
        assert.equal(sizeOf(unlisted.file), 0, 'what stands behind the fence has not run');
        assertFenced(pod);
        await unlisted.end();
        await node.cri.runtime.stopPodSandbox({ podSandboxId: pod.sandboxId });
        await ending;
      } finally {
        await unlisted.end();
      }
      await assertGone(node, pod);
    },
  },
  {
    title:
      'killed by the kubelet while it is frozen and restarted from its image, neither it nor the restart writes a line',
    async run(node) {
      const pod = await node.startWriters();
      await node.checkpoint(pod);
      const before = sizesOf(pod);
      // What a failing liveness probe leads to. On cgroup v2 the kill ends frozen processes at once.
      await node.cri.runtime.stopContainer({ containerId: pod.containerId, timeout: 0n });
      await exited(node, pod);
      assert.deepEqual(sizesOf(pod), before);
      assertFenced(pod);
      const state = await node.sourceState(pod);
      assert.deepEqual([state?.podCgroupFrozen, state?.containers[0]?.running], [true, false]);

      const containerId = await pod.createContainer({ attempt: 1 });
      const restart = node.cri.runtime.startContainer({ containerId }).then(
        () => undefined,
        (error: Error) => error,
      );
      const born = await eventually('the restart is born', () => frozenIn(pod, containerId));
      assert.deepEqual(sizesOf(pod), before);
      const ending = node.endSource(pod);
      assert.ok((await restart) instanceof Error, 'the restart fails');
      assert.ok(!existsSync(`/proc/${born}`), 'its process is gone');
      assert.deepEqual(sizesOf(pod), before, 'it has not written a line');
      assertFenced(pod);
      await node.cri.runtime.stopPodSandbox({ podSandboxId: pod.sandboxId });
      await ending;
      assert.deepEqual(sizesOf(pod), before);
      await assertGone(node, pod);
    },
  },
  {
    title: 'a pod moves within the node, and on from where it was restored, without a gap',
    async run(node, note) {
      let pod = await node.startWriters();
      for (let round = 1; round <= 2; round++) {
        const target = await node.startTarget(pod);
        const taken = await node.checkpoint(pod);
        const result = await node.restore(target, taken.uid);
        assert.equal(await target.started, undefined);
        assert.equal(result.claim, Claim.CLAIM_COMMITTED);
        note(`${steps(taken)}; ${steps(result)}`);
        await node.writesOn(target);
        assert.equal(writtenProblem(target), undefined);
        assert.ok(dirname(cgroupOf(target.containerId).dir).endsWith(`pod${target.uid}`));

        const before = sizesOf(pod);
        const ending = node.endSource(pod);
        await exited(node, pod);
        await node.cri.runtime.stopPodSandbox({ podSandboxId: pod.sandboxId });
        await ending;
        assert.deepEqual(sizesOf(pod), before, 'the source has not written once more');
        await assertGone(node, pod);
        pod = target;
      }
      await discard(pod);
    },
  },
  {
    title:
      'revoked before the commit, nothing of the restored processes has run, and the source goes on without a gap',
    async run(node) {
      const source = await node.startWriters();
      const target = await node.startTarget(source);
      const taken = await node.checkpoint(source);
      const restoring = node.restore(target, taken.uid, true).then(
        () => undefined,
        (error: unknown) => error,
      );
      const held = `/var/lib/lpm/pods/${target.uid}/containers/main/held`;
      await eventually('everything is restored and held', () => existsSync(held));
      for (const pod of [source, target]) {
        const { now, later } = await stillSizes(pod);
        assert.deepEqual(later, now);
      }
      const { claim } = await node.agent.call('revoke', { podUid: target.uid, restoreUid: target.migration });
      assert.equal(claim, Claim.CLAIM_REVOKED);
      const error = await restoring;
      assert.ok(error instanceof AgentError && error.reason === 'Revoked', String(error));
      // The runtime may have had its answers already: it takes what was held for a container that was killed.
      await target.started;
      await exited(node, target);
      assert.deepEqual(
        sizesOf(target),
        sizesOf(source),
        'the target has the lines of the checkpoint, no more',
      );
      assert.deepEqual(await node.thaw(source, taken.uid), ['main']);
      await node.writesOn(source);
      assert.equal(writtenProblem(source), undefined);
      const { now, later } = await stillSizes(target);
      assert.deepEqual(later, now);
      await node.cri.runtime.stopPodSandbox({ podSandboxId: target.sandboxId });
      await assertGone(node, target);
      await discard(source);
    },
  },
];

/** Long enough for a container to start ten times over. */
const GIVE_UP_MS = 8000;

const dataOf = (pod: WriterPod): string => pod.volumes.data ?? '';
/** The sandbox is found even when all containers are gone. */
const podDirOf = (pod: WriterPod): string => dirname(cgroupOf(pod.sandboxId).dir);

function assertFenced(pod: WriterPod): void {
  const dir = podDirOf(pod);
  assert.ok(isFrozenItself({ version: 2, dir }));
  assert.equal(eventsOf(dir).frozen, '1');
}

/** The process that writes, of the pod's first container. */
function childOf({ containerId }: WriterPod): number {
  const pid = processesBelow(cgroupOf(containerId).dir).find(
    (each) => readFileSync(`/proc/${each}/comm`, 'utf8').trim() === 'perl',
  );
  assert.ok(pid !== undefined, 'the child is in the container’s cgroup');
  return pid;
}

/** The first process of a container that has just been born, when it stands in a frozen cgroup. */
function frozenIn(pod: WriterPod, containerId: string): number | undefined {
  const dir = join(podDirOf(pod), containerId);
  if (!existsSync(dir) || eventsOf(dir).frozen !== '1') return undefined;
  const [pid] = readFileSync(join(dir, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean);
  return pid === undefined ? undefined : Number(pid);
}

async function exited({ cri }: GuestNode, { containerId }: WriterPod): Promise<void> {
  await eventually('the container is dead', async () => {
    const { status } = await cri.runtime.containerStatus({ containerId, verbose: false });
    return status?.state === ContainerState.CONTAINER_EXITED;
  });
}

/** No process, and the pod's cgroup can be removed as the kubelet does it. */
async function assertGone({ cri }: GuestNode, pod: WriterPod): Promise<void> {
  assert.deepEqual(processesOf(pod), []);
  await cri.runtime.removePodSandbox({ podSandboxId: pod.sandboxId });
  const { items } = await cri.runtime.listPodSandbox({
    filter: { id: pod.sandboxId, state: undefined, labelSelector: {} },
  });
  assert.deepEqual(items, []);
  assert.ok(removePodCgroup(pod.uid), 'the cgroup of the pod is empty');
}

/** A process that would write to a file, put into a frozen cgroup of its own below the pod's before it can. */
async function startBehindFence(
  podDir: string,
  file: string,
): Promise<{ file: string; end(): Promise<void> }> {
  const dir = join(podDir, 'unlisted');
  mkdirSync(dir);
  const script = 'echo 0 >"$1/cgroup.procs"; while :; do echo line >>"$2"; done';
  const child = spawn('/bin/sh', ['-c', script, 'sh', dir, file], { stdio: 'ignore' });
  await eventually('it stands behind the fence', () => eventsOf(dir).populated === '1');
  return {
    file,
    async end() {
      child.kill('SIGKILL');
      await eventually('it is gone', () => !existsSync(dir) || eventsOf(dir).populated === '0');
      if (existsSync(dir)) rmdirSync(dir);
    },
  };
}

/** Every file that the manifest names has its size, CRIU has said that it is done, and all pages that it counted are there. */
function assertImagesComplete(taken: CheckpointResult & { uid: string }): void {
  const folder = `/var/lib/lpm/artifacts/${taken.uid}`;
  const { files } = JSON.parse(readFileSync(join(folder, 'checkpoint.json'), 'utf8')) as {
    files: { container: string; path: string; size: number }[];
  };
  for (const { container, path, size } of files) {
    assert.equal(statSync(join(folder, container, path)).size, size, `${container}/${path}`);
  }
  for (const { containerName, pagesWritten } of taken.containers) {
    const own = join(folder, containerName);
    const images = readdirSync(join(own, 'checkpoint'));
    for (const name of ['inventory.img', 'pstree.img']) assert.ok(images.includes(name), name);
    // The parent and its child.
    assert.equal(images.filter((name) => /^core-\d+\.img$/.test(name)).length, 2);
    const pages = images.filter((name) => /^pages-\d+\.img$/.test(name));
    const bytes = pages.reduce((sum, name) => sum + statSync(join(own, 'checkpoint', name)).size, 0);
    assert.equal(BigInt(bytes), pagesWritten * 4096n);
    assert.match(readFileSync(join(own, 'dump.log'), 'utf8'), /Dumping finished successfully/);
  }
}

function steps(result: {
  steps: { step: Step; duration?: { seconds: bigint; nanos: number } | undefined }[];
}): string {
  const milliseconds = (duration?: { seconds: bigint; nanos: number }): string =>
    (Number(duration?.seconds ?? 0n) * 1000 + (duration?.nanos ?? 0) / 1e6).toFixed(0);
  return result.steps
    .map(
      ({ step, duration }) =>
        `${Step[step].slice('STEP_'.length).toLowerCase()} ${milliseconds(duration)} ms`,
    )
    .join(', ');
}
