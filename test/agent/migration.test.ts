import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { ANNOTATION } from '../../common/api/names.js';
import {
  Claim,
  Step,
  TcpMode,
  type CheckpointRequest,
  type CheckpointResult,
  type RestoreResult,
} from '../../proto/gen/lpm/v1/agent.js';
import { ContainerState } from '../../proto/gen/runtime/v1/cri.js';
import { counterPod, runPod, type RunningPod, type TestPod } from '../cluster/cri.js';
import { countProblem, countsIn } from '../support/counts.js';
import { until } from '../support/until.js';
import { agentLog, AgentError, serving, startPair, type AgentNode, type Pair } from './pair.js';

const skip = process.getuid?.() !== 0 && 'needs root: nodes with containerd, runc and CRIU';

/** A promise that may be rejected before anybody awaits it. */
function watched<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}

/** A target pod that waits for its state. */
interface Target extends RunningPod {
  migration: string;
  /** The start that waits; undefined is success. */
  started: Promise<Error | undefined>;
}

test('agents move a pod between two nodes', { skip }, async (t) => {
  let pair: Pair;
  let a: AgentNode;
  let b: AgentNode;
  before(async () => {
    pair = await startPair();
    ({ a, b } = pair);
  });
  after(async () => pair?.stop());
  t.afterEach(() => {
    if (process.env.LPM_TEST_LOGS) console.error(agentLog(a.node), agentLog(b.node));
  });

  const fileOf = (on: AgentNode, pod: RunningPod): string => on.node.path(`${pod.volumes.data}/counter.log`);
  const counts = (on: AgentNode, pod: RunningPod): number[] =>
    countsIn(readFileSync(fileOf(on, pod), 'utf8'));
  const last = (on: AgentNode, pod: RunningPod): number => counts(on, pod).at(-1) ?? 0;
  const logCounts = (on: AgentNode, pod: RunningPod): number[] =>
    countsIn(readFileSync(on.node.path(pod.logPath), 'utf8'));
  const ref = ({ namespace, name, uid }: RunningPod) => ({ namespace, name, uid });
  const counting = (on: AgentNode, pod: RunningPod, more = 3): Promise<unknown> => {
    const from = existsSync(fileOf(on, pod)) ? last(on, pod) : 0;
    return until(`${pod.name} counts ${more} further`, () => last(on, pod) >= from + more);
  };
  const standing = async (on: AgentNode, pod: RunningPod): Promise<void> => {
    const before = last(on, pod);
    await delay(400);
    assert.equal(last(on, pod), before, `${pod.name} does not count`);
  };

  const startCounter = async (on: AgentNode, more: Partial<TestPod> = {}): Promise<RunningPod> => {
    const pod = await runPod(on.node, on.cri, {
      ...counterPod,
      name: `counter-${randomUUID().slice(0, 8)}`,
      ...more,
    });
    await counting(on, pod);
    return pod;
  };
  const startTarget = async (
    on: AgentNode,
    source: RunningPod,
    more: Partial<TestPod> = {},
  ): Promise<Target> => {
    const migration = randomUUID();
    const pod = await runPod(
      on.node,
      on.cri,
      {
        ...counterPod,
        name: `${source.name}-restored`,
        handler: 'lpm',
        annotations: { [ANNOTATION.migration]: migration },
        ...more,
      },
      { startContainer: false },
    );
    const started = pod.start().then(
      () => undefined,
      (error: Error) => error,
    );
    await until('the handler waits', async () => (await targetOf(on, pod))?.containers[0]?.waiting, {
      everyMs: 10,
    });
    return { ...pod, migration, started };
  };
  const targetOf = async (on: AgentNode, pod: RunningPod) =>
    (await on.agent.call('getPodState', { podUid: pod.uid })).target;
  const sourceOf = async (on: AgentNode, pod: RunningPod) =>
    (await on.agent.call('getPodState', { podUid: pod.uid })).source;

  /** A migration's request for a checkpoint of a counter. */
  const asked = (pod: RunningPod, checkpointUid: string = randomUUID()): CheckpointRequest => ({
    checkpointUid,
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
  });
  const checkpoint = (
    on: AgentNode,
    pod: RunningPod,
    {
      uid = randomUUID() as string,
      tcp = TcpMode.TCP_MODE_CLOSE,
      thawAfter = false,
      container = 'counter',
    } = {},
  ): Promise<CheckpointResult & { uid: string }> =>
    on.agent
      .checkpoint({
        ...asked(pod, uid),
        containers: [{ name: container, containerId: pod.containerId }],
        tcp,
        thawAfter,
      })
      .then((result) => ({ ...(result as CheckpointResult), uid }));
  const thaw = (on: AgentNode, pod: RunningPod, checkpointUid: string) =>
    on.agent.call('thaw', { pod: ref(pod), checkpointUid });
  const restore = (
    from: AgentNode,
    to: AgentNode,
    target: Target,
    checkpointUid: string,
    { hold = false, local = false, container = 'counter', onStep = (_: Step): void => {} } = {},
  ): Promise<RestoreResult> =>
    to.agent.restore(
      {
        restoreUid: target.migration,
        pod: ref(target),
        checkpointUid,
        sourceAddress: local ? '' : from.address,
        sourceNodeName: local ? '' : from.node.name,
        containerNames: [container],
        hold,
        archives: [],
      },
      ({ step }) => onStep(step),
    ) as Promise<RestoreResult>;
  const failsWith = async (work: Promise<unknown>, reason: string, says = /./): Promise<AgentError> => {
    const error = await work.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    assert.ok(error instanceof AgentError, String(error));
    assert.equal(error.reason, reason, error.message);
    assert.match(error.message, says);
    return error;
  };
  const milliseconds = (result: {
    steps: { step: Step; duration?: { seconds: bigint; nanos: number } | undefined }[];
  }) =>
    result.steps
      .map(
        ({ step, duration }) =>
          `${Step[step].slice(5).toLowerCase()} ${((duration?.nanos ?? 0) / 1e6).toFixed(0)}`,
      )
      .join(', ');

  /** Ends a source as the kubelet and the agent do it together: the pod is deleted, then its sandbox is stopped. */
  const endSource = async (on: AgentNode, pod: RunningPod): Promise<number> => {
    const ending = on.agent.call('endSource', { pod: ref(pod) });
    await on.cri.runtime.stopContainer({ containerId: pod.containerId, timeout: 0n }).catch(() => {});
    await on.cri.runtime.stopPodSandbox({ podSandboxId: pod.sandboxId });
    const { killedProcesses } = await ending;
    await on.cri.runtime.removePodSandbox({ podSandboxId: pod.sandboxId });
    return killedProcesses;
  };

  await t.test('both nodes can do it', async () => {
    for (const { agent, node } of [a, b]) {
      const info = await agent.call('getNodeInfo', {});
      assert.equal(info.nodeName, node.name);
      assert.deepEqual([info.criuProblem, info.handlerProblem], ['', '']);
      assert.ok(
        info.handlerReady && info.criuVersion && info.ociRuntime === 'runc' && info.cpuFlags.length > 10,
      );
      assert.ok(Math.abs((info.agentTime?.getTime() ?? 0) - Date.now()) < 2000);
    }
  });

  await t.test('a counter arrives with its memory, file and log, and the source is ended', async (t) => {
    const source = await startCounter(a);
    const [facts] = (await a.agent.call('inspectPod', { pod: ref(source) })).containers;
    assert.equal(facts?.containerId, source.containerId);
    assert.deepEqual(facts.problems, []);
    assert.ok(facts.memoryBytes > 0n && facts.processCount >= 1);

    const target = await startTarget(b, source);
    const taken = await checkpoint(a, source);
    await standing(a, source);
    const frozen = await sourceOf(a, source);
    assert.ok(frozen?.podCgroupFrozen && frozen.containers[0]?.frozen && frozen.checkpoints[0]?.complete);
    assert.deepEqual(await checkpoint(a, source, { uid: taken.uid }), taken, 'asking again finds the result');

    const result = await restore(a, b, target, taken.uid);
    assert.equal(await target.started, undefined);
    assert.equal(result.claim, Claim.CLAIM_COMMITTED);
    assert.equal(result.bytesTransferred, taken.totalBytes);
    const downtime = (result.restoredAt?.getTime() ?? 0) - (taken.frozenAt?.getTime() ?? 0);
    t.diagnostic(`${milliseconds(taken)}; ${milliseconds(result)}; from freeze to restored ${downtime} ms`);

    await counting(b, target);
    assert.equal(countProblem(counts(b, target)), undefined);
    assert.equal(countProblem(logCounts(b, target)), undefined);
    const exec = await b.cri.runtime.execSync({
      containerId: target.containerId,
      cmd: ['sh', '-c', 'tail -n 1 /data/counter.log'],
      timeout: 5n,
    });
    assert.match(exec.stdout.toString(), /Count=\d+/);
    await standing(a, source);

    const before = last(a, source);
    assert.ok((await endSource(a, source)) > 0);
    assert.equal(last(a, source), before, 'the source has not counted once more');
    assert.deepEqual(await a.agent.call('endSource', { pod: ref(source) }), { killedProcesses: 0 });

    // Asking again after everything is over finds the same.
    const again = await restore(a, b, target, taken.uid);
    assert.deepEqual([again.claim, again.restoredAt], [result.claim, result.restoredAt]);
    assert.equal(
      (await b.agent.call('revoke', { podUid: target.uid, restoreUid: target.migration })).claim,
      Claim.CLAIM_COMMITTED,
    );
    await counting(b, target);

    assert.ok(
      (await a.agent.call('discard', { checkpointUid: taken.uid, podUid: '' })).bytesFreed > 100_000n,
    );
    assert.ok(
      (await b.agent.call('discard', { checkpointUid: '', podUid: target.uid })).bytesFreed > 100_000n,
    );
    assert.equal((await targetOf(b, target))?.claim, Claim.CLAIM_COMMITTED);
    await restartsFromImage(b, target);
    await target.remove();
  });

  /** The restored process is killed; the kubelet's next container is an ordinary one. */
  async function restartsFromImage(on: AgentNode, pod: Target): Promise<void> {
    await on.cri.runtime.stopContainer({ containerId: pod.containerId, timeout: 0n });
    const { status, info } = await on.cri.runtime.containerStatus({
      containerId: pod.containerId,
      verbose: true,
    });
    assert.equal(status?.state, ContainerState.CONTAINER_EXITED);
    const config = JSON.parse(info.info ?? '{}') as { config: { image: { image: string } } };
    assert.equal(config.config.image.image, counterPod.image);
    await restartIn(on, pod);
    await until('the restarted container counts from 1', () => counts(on, pod).slice(-3).join() === '1,2,3');
  }

  await t.test('a counter moves there and back, and there again', async () => {
    let [from, to] = [a, b];
    let pod: RunningPod = await startCounter(from);
    for (let round = 0; round < 3; round++) {
      const target = await startTarget(to, pod);
      const { uid } = await checkpoint(from, pod);
      await restore(from, to, target, uid);
      assert.equal(await target.started, undefined);
      await endSource(from, pod);
      await counting(to, target);
      assert.equal(countProblem(counts(to, target)), undefined);
      assert.equal(countProblem(logCounts(to, target)), undefined);
      pod = target;
      [from, to] = [to, from];
    }
    await pod.remove();
  });

  await t.test(
    'what was written beside the volumes arrives: root file system and /dev/shm, as another user too',
    async () => {
      const script =
        'cd /tmp && echo layer >layer && rm -f /tmp/none && echo shm >/dev/shm/shm && exec 7<>/tmp/layer && ' +
        'COUNT=0; while true; do COUNT=$((COUNT + 1)); echo "Count=$COUNT" >>/data/counter.log; ' +
        'cat /tmp/layer /dev/shm/shm >/data/seen; sleep 0.1; done';
      const source = await startCounter(a, { command: ['/bin/sh', '-c', script], runAsUser: 1000 });
      const target = await startTarget(b, source, { runAsUser: 1000 });
      const { uid } = await checkpoint(a, source);
      await restore(a, b, target, uid);
      assert.equal(await target.started, undefined);
      await counting(b, target);
      assert.equal(countProblem(counts(b, target)), undefined);
      // It is written anew ten times a second, so it may be empty in the moment in which it is read.
      await until(
        'it sees both files',
        () => readFileSync(b.node.path(`${target.volumes.data}/seen`), 'utf8') === 'layer\nshm\n',
      );
      await endSource(a, source);
      await target.remove();
    },
  );

  await t.test('on the same node the artifacts are taken from the disk', async () => {
    const source = await startCounter(a);
    const target = await startTarget(a, source);
    const { uid } = await checkpoint(a, source);
    const result = await restore(a, a, target, uid, { local: true });
    assert.equal(result.bytesTransferred, 0n);
    await counting(a, target);
    assert.equal(countProblem(counts(a, target)), undefined);
    await endSource(a, source);
    await target.remove();
  });

  await t.test(
    'a held restore executes nothing; revoked, the source goes on without gap or repeat',
    async () => {
      const source = await startCounter(a);
      const target = await startTarget(b, source);
      const { uid } = await checkpoint(a, source);
      const restoring = watched(restore(a, b, target, uid, { hold: true }));
      const held = b.node.path(`/var/lib/lpm/pods/${target.uid}/containers/counter/held`);
      await until('everything is restored and held', () => existsSync(held));
      await standing(b, target);
      await standing(a, source);
      assert.equal((await targetOf(b, target))?.claim, Claim.CLAIM_NONE);

      const revoked = await b.agent.call('revoke', { podUid: target.uid, restoreUid: target.migration });
      assert.equal(revoked.claim, Claim.CLAIM_REVOKED);
      await failsWith(restoring, 'Revoked');
      assert.equal(await target.started, undefined, 'the runtime had its answer before');
      const left = await b.node.exec(['sh', '-c', 'ps -eo args | grep -c "[C]OUNT="']);
      assert.equal(left.stdout.trim(), '0', 'no restored process is left');
      assert.equal(
        (await b.agent.call('revoke', { podUid: target.uid, restoreUid: target.migration })).claim,
        Claim.CLAIM_REVOKED,
      );

      assert.deepEqual((await thaw(a, source, uid)).thawed, ['counter']);
      await counting(a, source);
      assert.equal(countProblem(counts(a, source)), undefined);
      assert.equal(countProblem(logCounts(a, source)), undefined);
      assert.deepEqual((await thaw(a, source, uid)).thawed, []);

      // The kubelet tries again with another container: refused for ever.
      await assert.rejects(restartIn(b, target), /was taken back/);
      await standing(b, target);
      await failsWith(b.agent.call('commit', { podUid: target.uid }), 'Revoked');
      await source.remove();
    },
  );

  await t.test('a held restore goes on when it is committed', async () => {
    const source = await startCounter(a);
    const target = await startTarget(b, source);
    const { uid } = await checkpoint(a, source);
    const restoring = watched(restore(a, b, target, uid, { hold: true }));
    const joined = until('a second caller joins', () => restore(a, b, target, uid, { hold: true }));
    const held = b.node.path(`/var/lib/lpm/pods/${target.uid}/containers/counter/held`);
    await until('everything is restored and held', () => existsSync(held));
    await b.agent.call('commit', { podUid: target.uid });
    assert.equal((await restoring).claim, Claim.CLAIM_COMMITTED);
    assert.deepEqual((await joined).restoredAt, (await restoring).restoredAt);
    assert.equal((await b.agent.call('commit', { podUid: target.uid })).claim, Claim.CLAIM_COMMITTED);
    await counting(b, target);
    assert.equal(countProblem(counts(b, target)), undefined);
    await endSource(a, source);
    await target.remove();
  });

  await t.test('an agent that is killed while a restore is held joins it again', async () => {
    const source = await startCounter(a);
    const target = await startTarget(b, source);
    const { uid } = await checkpoint(a, source);
    const lost = watched(restore(a, b, target, uid, { hold: true }));
    const held = b.node.path(`/var/lib/lpm/pods/${target.uid}/containers/counter/held`);
    await until('everything is restored and held', () => existsSync(held));
    await b.node.restartService('agent', { signal: 'KILL' });
    await assert.rejects(lost);
    await serving(b);
    const joined = watched(restore(a, b, target, uid, { hold: true }));
    await standing(b, target);
    await b.agent.call('commit', { podUid: target.uid });
    assert.equal((await joined).claim, Claim.CLAIM_COMMITTED);
    await counting(b, target);
    assert.equal(countProblem(counts(b, target)), undefined);
    await endSource(a, source);
    await target.remove();
  });

  await t.test(
    'an agent that is killed during a checkpoint leaves a source that its successor thaws',
    async () => {
      const source = await startCounter(a);
      const request = asked(source);
      const dumping = a.agent.checkpoint(request, ({ step }) => {
        if (step === Step.STEP_DUMP) void a.node.restartService('agent', { signal: 'KILL' });
      });
      const outcome = await dumping.then(
        () => 'completed',
        () => 'cut',
      );
      await serving(a);
      const state = await until('the agent answers', () => sourceOf(a, source));
      assert.equal(
        state.checkpoints.some(({ complete }) => complete),
        outcome === 'completed',
      );
      if (outcome === 'completed') {
        await thaw(a, source, request.checkpointUid);
      }
      await counting(a, source);
      assert.equal(countProblem(counts(a, source)), undefined);
      await source.remove();
    },
  );

  await t.test('a dump that fails leaves the source running, and says why', async () => {
    const script =
      '(sleep 1000 | nc -l -p 9000) & sleep 0.3; (sleep 1000 | nc 127.0.0.1 9000) & ' +
      (counterPod.command?.[2] ?? '');
    const source = await startCounter(a, { command: ['/bin/sh', '-c', script] });
    const error = await failsWith(
      checkpoint(a, source, { tcp: TcpMode.TCP_MODE_REFUSE }),
      'CriuDumpFailed',
      /established TCP connections/,
    );
    assert.ok(error.detail.sourceThawed);
    assert.match(error.detail.log, /Error \(/);
    assert.ok(error.detail.hint);
    await counting(a, source);
    assert.equal(countProblem(counts(a, source)), undefined);
    assert.deepEqual((await sourceOf(a, source))?.checkpoints, []);
    // Closing them is the other way.
    const target = await startTarget(b, source);
    const { uid } = await checkpoint(a, source);
    await restore(a, b, target, uid);
    await counting(b, target);
    assert.equal(countProblem(counts(b, target)), undefined);
    await endSource(a, source);
    await target.remove();
  });

  await t.test('a checkpoint that is not part of a migration lets the pod run on', async () => {
    const source = await startCounter(a);
    const taken = await checkpoint(a, source, { thawAfter: true });
    await counting(a, source);
    assert.equal(countProblem(counts(a, source)), undefined);
    const folder = a.node.path(`/var/lib/lpm/artifacts/${taken.uid}/counter`);
    for (const file of [
      'checkpoint/inventory.img',
      'config.dump',
      'spec.dump',
      'rootfs-diff.tar',
      'deleted.files',
      'volumes/data.tar',
    ]) {
      assert.ok(existsSync(`${folder}/${file}`), file);
    }
    assert.ok((taken.containers[0]?.pagesWritten ?? 0n) > 0n);
    await source.remove();
  });

  await t.test('what the kubelet starts in a frozen source is killed before it runs', async () => {
    const source = await startCounter(a);
    await checkpoint(a, source);
    const before = last(a, source);
    const ending = a.agent.call('endSource', { pod: ref(source) });
    await until('the source is dead', async () => {
      const { containers } = await a.cri.runtime.listContainers({
        filter: { id: source.containerId, state: undefined, podSandboxId: '', labelSelector: {} },
      });
      return containers[0]?.state === ContainerState.CONTAINER_EXITED;
    });
    // A restart from the image, as a liveness probe's kill leads to: born frozen, and killed.
    await assert.rejects(restartIn(a, source));
    assert.equal(last(a, source), before, 'not one line was written');
    await a.cri.runtime.stopPodSandbox({ podSandboxId: source.sandboxId });
    await ending;
    assert.equal(last(a, source), before);
    await a.cri.runtime.removePodSandbox({ podSandboxId: source.sandboxId });
  });

  /** Creates and starts a second container in the sandbox of a pod, as a restart does. */
  async function restartIn(on: AgentNode, pod: RunningPod): Promise<void> {
    const containerId = await pod.createContainer({ attempt: 1 });
    await on.cri.runtime.startContainer({ containerId });
  }

  await t.test('wrong requests are refused and change nothing', async () => {
    const source = await startCounter(a);
    const wrong = (more: object) => a.agent.checkpoint({ ...asked(source), ...more });
    const other = 'f'.repeat(64);
    await failsWith(
      wrong({ containers: [{ name: 'counter', containerId: other }] }),
      'SourceChanged',
      /was restarted/,
    );
    await failsWith(wrong({ containers: [{ name: 'gone', containerId: other }] }), 'PodNotRunning');
    await failsWith(wrong({ containers: [] }), 'InvalidArgument');
    await failsWith(wrong({ checkpointUid: '../../x' }), 'InvalidArgument', /is not a UID/);
    await failsWith(
      wrong({ pod: { ...ref(source), name: 'other' } }),
      'InvalidArgument',
      /on this node, not/,
    );
    await failsWith(wrong({ pod: { ...ref(source), uid: randomUUID() } }), 'PodNotFound');
    const elsewhere = { ...source, migration: randomUUID(), started: Promise.resolve(undefined) };
    await failsWith(restore(a, b, elsewhere, randomUUID()), 'CheckpointNotFound');
    await counting(a, source);
    assert.equal(countProblem(counts(a, source)), undefined);
    await source.remove();
  });

  await t.test('a pod that was never heard of can be revoked, and never starts then', async () => {
    const podUid = randomUUID();
    const migration = randomUUID();
    const { claim } = await b.agent.call('revoke', { podUid, restoreUid: migration });
    assert.equal(claim, Claim.CLAIM_REVOKED);
    await assert.rejects(
      runPod(b.node, b.cri, {
        ...counterPod,
        name: 'late',
        uid: podUid,
        handler: 'lpm',
        annotations: { [ANNOTATION.migration]: migration },
      }),
      /was taken back/,
    );
  });
});
