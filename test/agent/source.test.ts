/** A source on a real node: whatever happens around its dump, one copy of it runs, and nobody freezes or thaws it by mistake. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { TcpMode, type CheckpointRequest, type CheckpointResult } from '../../proto/gen/lpm/v1/agent.js';
import { counterPod, runPod, type RunningPod } from '../cluster/cri.js';
import { countProblem, countsIn } from '../support/counts.js';
import { until } from '../support/until.js';
import { AgentError } from './client.js';
import { serving, startPair, type AgentNode, type Pair } from './pair.js';

const skip = process.getuid?.() !== 0 && 'needs root: nodes with containerd, runc and CRIU';

test('a source survives what happens around its dump', { skip }, async (t) => {
  let pair: Pair;
  let a: AgentNode;
  before(async () => {
    pair = await startPair();
    ({ a } = pair);
  });
  after(async () => pair?.stop());

  const counts = (pod: RunningPod): number[] =>
    countsIn(readFileSync(a.node.path(`${pod.volumes.data}/counter.log`), 'utf8'));
  const last = (pod: RunningPod): number => counts(pod).at(-1) ?? 0;
  const counting = async (pod: RunningPod): Promise<void> => {
    const from = last(pod);
    await until(`${pod.name} counts on`, () => last(pod) >= from + 3);
    assert.equal(countProblem(counts(pod)), undefined);
  };
  const standing = async (pod: RunningPod): Promise<void> => {
    const from = last(pod);
    await delay(400);
    assert.equal(last(pod), from, `${pod.name} stands still`);
  };
  /** @param megabytes of memory that its shell holds, so that a dump takes its time */
  const startCounter = async (megabytes = 0): Promise<RunningPod> => {
    const count = counterPod.command?.[2] ?? '';
    const script = megabytes ? `HELD=$(head -c ${megabytes}000000 /dev/zero | tr '\\0' x)\n${count}` : count;
    const pod = await runPod(a.node, a.cri, {
      ...counterPod,
      name: `counter-${randomUUID().slice(0, 8)}`,
      command: ['/bin/sh', '-c', script],
    });
    await until('it counts', () => last(pod) >= 3);
    return pod;
  };
  const ref = ({ namespace, name, uid }: RunningPod) => ({ namespace, name, uid });
  const request = (pod: RunningPod, more: Partial<CheckpointRequest> = {}): CheckpointRequest => ({
    checkpointUid: randomUUID(),
    pod: ref(pod),
    containers: [{ name: 'counter', containerId: pod.containerId }],
    tcp: TcpMode.TCP_MODE_CLOSE,
    thawAfter: false,
    owner: {
      restoreUid: randomUUID(),
      migrationName: 'moving',
      targetPodUid: randomUUID(),
      targetNodeName: 'node-b',
    },
    dumpTimeout: undefined,
    archive: undefined,
    ...more,
  });
  const checkpoint = (asked: CheckpointRequest) => a.agent.checkpoint(asked) as Promise<CheckpointResult>;
  const thaw = (pod: RunningPod, checkpointUid: string) =>
    a.agent.call('thaw', { pod: ref(pod), checkpointUid });
  const reasonOf = (work: Promise<unknown>): Promise<string> =>
    work.then(
      () => 'nothing',
      (error: unknown) => (error instanceof AgentError ? error.reason : String(error)),
    );
  /**
   * CRIU's own code is in the process and waits for orders: dying, it gives the process back as it was. (Killed while it puts
   * that code there, in the milliseconds before, CRIU may take the process with it.)
   */
  const writingPages = ({ checkpointUid }: CheckpointRequest): Promise<unknown> => {
    const images = a.node.path(`/var/lib/lpm/artifacts/${checkpointUid}.partial/counter/checkpoint`);
    const some = (): boolean =>
      readdirSync(images).some((name) => name.startsWith('pages-') && statSync(join(images, name)).size > 0);
    return until('CRIU writes pages', some, { everyMs: 1 });
  };
  /** At once, from outside of the node: entering it would take longer than a dump may last. */
  const signalCriu = (signal: 'SIGKILL' | 'SIGSTOP'): void => {
    const namespace = (pid: string): string => readlinkSync(`/proc/${pid}/ns/mnt`);
    const [, node = ''] = /^\/proc\/(\d+)\//.exec(a.node.path('/')) ?? [];
    const mine = readdirSync('/proc').filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/comm`, 'utf8') === 'criu\n' && namespace(pid) === namespace(node);
      } catch {
        return false;
      }
    });
    assert.ok(mine.length > 0, 'CRIU runs');
    for (const pid of mine) process.kill(Number(pid), signal);
  };

  await t.test('CRIU is killed in the middle of a dump: it fails, and the source runs on', async () => {
    const pod = await startCounter(120);
    for (let round = 0; round < 3; round++) {
      const asked = request(pod);
      const outcome = reasonOf(checkpoint(asked));
      await writingPages(asked);
      signalCriu('SIGKILL');
      assert.equal(await outcome, 'CriuDumpFailed');
      await counting(pod);
    }
    await pod.remove();
  });

  await t.test('a dump that hangs is ended, and the source runs on', async () => {
    const pod = await startCounter(120);
    const asked = request(pod, { dumpTimeout: { seconds: 3n, nanos: 0 } });
    const dumping = checkpoint(asked).then(
      () => undefined,
      (thrown: unknown) => thrown as AgentError,
    );
    await writingPages(asked);
    signalCriu('SIGSTOP');
    const error = await dumping;
    assert.equal(error?.reason, 'TimedOut', String(error));
    assert.ok(error.detail.sourceThawed);
    await counting(pod);
    assert.equal((await a.node.exec(['pgrep', '-x', 'criu'])).code, 1, 'no CRIU is left');
    await pod.remove();
  });

  await t.test('a shell that starts one program after the other is dumped each time', async () => {
    const pod = await runPod(a.node, a.cri, {
      ...counterPod,
      name: `forks-${randomUUID().slice(0, 8)}`,
      command: [
        '/bin/sh',
        '-c',
        'COUNT=0; while true; do COUNT=$((COUNT + 1)); echo "Count=$COUNT" >>/data/counter.log; /bin/busybox true; /bin/busybox true; done',
      ],
    });
    await until('it counts', () => last(pod) >= 3);
    for (let round = 0; round < 10; round++) {
      const asked = request(pod);
      await checkpoint(asked);
      await thaw(pod, asked.checkpointUid);
      await counting(pod);
    }
    await pod.remove();
  });

  await t.test(
    'a checkpoint that was given up freezes nothing, however late its request arrives',
    async () => {
      const pod = await startCounter();
      const early = request(pod);
      await thaw(pod, early.checkpointUid);
      assert.equal(await reasonOf(checkpoint(early)), 'Revoked');
      const taken = request(pod);
      await checkpoint(taken);
      await standing(pod);
      await thaw(pod, taken.checkpointUid);
      await counting(pod);
      assert.equal(await reasonOf(checkpoint(taken)), 'Revoked');
      await a.node.restartService('agent', { signal: 'KILL' });
      await serving(a);
      assert.equal(await reasonOf(checkpoint(taken)), 'Revoked', 'a new agent knows it too');
      await counting(pod);
      await pod.remove();
    },
  );

  await t.test('a late request to thaw does not reach into the next migration of the pod', async () => {
    const pod = await startCounter();
    const first = request(pod);
    await checkpoint(first);
    await thaw(pod, first.checkpointUid);
    const second = request(pod);
    await checkpoint(second);
    assert.equal(await reasonOf(thaw(pod, first.checkpointUid)), 'PodBusy');
    await standing(pod);
    await thaw(pod, second.checkpointUid);
    await counting(pod);
    await pod.remove();
  });

  await t.test(
    'what a node holds is told with its owner, also by an agent that was just started',
    async () => {
      const pod = await startCounter();
      const asked = request(pod);
      await checkpoint(asked);
      await a.node.restartService('agent', { signal: 'KILL' });
      await serving(a);
      await standing(pod);
      const held = await a.agent.call('listHoldings', {});
      const mine = held.checkpoints.find(({ checkpointUid }) => checkpointUid === asked.checkpointUid);
      assert.ok(mine);
      assert.deepEqual(mine.owner, asked.owner);
      assert.deepEqual(mine.pod, ref(pod));
      assert.ok(mine.complete && !mine.inProgress && mine.since);
      assert.deepEqual(held.frozenPods, [
        { pod: ref(pod), containerNames: ['counter'], podCgroupFrozen: true },
      ]);
      await thaw(pod, asked.checkpointUid);
      assert.deepEqual((await a.agent.call('listHoldings', {})).frozenPods, []);
      await counting(pod);
      await pod.remove();
    },
  );
});
