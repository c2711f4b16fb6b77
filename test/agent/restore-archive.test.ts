import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { generateIdentity, identityToRecipient } from 'age-encryption';
import { ANNOTATION } from '../../common/api/names.js';
import {
  ArchiveCompression,
  Claim,
  TcpMode,
  type ArchiveInfo,
  type ArchiveOptions,
  type ArchiveSource,
  type CheckpointResult,
  type ContainerArtifact,
  type RestoreResult,
} from '../../proto/gen/lpm/v1/agent.js';
import { SecurityProfile_ProfileType } from '../../proto/gen/runtime/v1/cri.js';
import { counterPod, runPod, type RunningPod, type TestPod } from '../cluster/cri.js';
import { countProblem, countsIn } from '../support/counts.js';
import { archiveParts } from '../support/raw-archive.js';
import { rawTar } from '../support/raw-tar.js';
import { until } from '../support/until.js';
import { agentLog, AgentError, startPair, type AgentNode, type Pair } from './pair.js';

const skip = process.getuid?.() !== 0 && 'needs root: nodes with containerd, runc and CRIU';

const RECIPIENTS = '/etc/lpm/archive-recipients';
const IDENTITIES = '/etc/lpm/archive-identities';

/** As the kubelet protects every container (kubernetes pkg/securitycontext), and what "restricted" pods have beside it. */
const restricted = {
  maskedPaths: [
    ...['/proc/asound', '/proc/acpi', '/proc/interrupts', '/proc/kcore', '/proc/keys', '/proc/latency_stats'],
    ...['/proc/timer_list', '/proc/timer_stats', '/proc/sched_debug', '/proc/scsi', '/sys/firmware'],
    '/sys/devices/virtual/powercap',
  ],
  readonlyPaths: ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'],
  noNewPrivs: true,
  seccomp: { profileType: SecurityProfile_ProfileType.RuntimeDefault },
  capabilities: { dropCapabilities: ['ALL'] },
};

/** A pod that waits for its state, made for one restore. */
interface Target extends RunningPod {
  migration: string;
  /** The start that waits; undefined is success. */
  started: Promise<Error | undefined>;
}

test('a pod is brought back from an archive of it', { skip }, async (t) => {
  let pair: Pair;
  let a: AgentNode;
  let b: AgentNode;
  before(async () => {
    pair = await startPair({
      repository: true,
      flags: ['--archive-recipients', RECIPIENTS, '--archive-identities', IDENTITIES],
    });
    ({ a, b } = pair);
  });
  after(async () => pair?.stop());
  t.afterEach(() => {
    if (process.env.LPM_TEST_LOGS) console.error(agentLog(a.node), agentLog(b.node));
  });

  const ref = ({ namespace, name, uid }: RunningPod) => ({ namespace, name, uid });
  const fileOf = (on: AgentNode, pod: RunningPod): string => on.node.path(`${pod.volumes.data}/counter.log`);
  const counts = (on: AgentNode, pod: RunningPod): number[] =>
    existsSync(fileOf(on, pod)) ? countsIn(readFileSync(fileOf(on, pod), 'utf8')) : [];
  const counting = (on: AgentNode, pod: RunningPod): Promise<unknown> => {
    const from = counts(on, pod).at(-1) ?? 0;
    return until(`${pod.name} counts further`, () => (counts(on, pod).at(-1) ?? 0) >= from + 3);
  };

  /** A counter that was checkpointed while it ran on, and is gone; and the archive that was made of it. */
  const checkpointed = async (
    more: Partial<TestPod> = {},
    archive: Partial<ArchiveOptions> = {},
  ): Promise<{ artifact: ContainerArtifact; info: ArchiveInfo; source: ArchiveSource }> => {
    const pod = await runPod(a.node, a.cri, {
      ...counterPod,
      name: `counter-${randomUUID().slice(0, 8)}`,
      ...more,
    });
    await counting(a, pod);
    const taken = (await a.agent.checkpoint({
      checkpointUid: randomUUID(),
      pod: ref(pod),
      containers: [{ name: 'counter', containerId: pod.containerId }],
      tcp: TcpMode.TCP_MODE_CLOSE,
      thawAfter: true,
      owner: undefined,
      dumpTimeout: undefined,
      archive: {
        clusterUid: randomUUID(),
        compression: ArchiveCompression.ARCHIVE_COMPRESSION_NONE,
        encrypt: false,
        podJson: '{}',
        ...archive,
      },
    })) as CheckpointResult;
    await counting(a, pod);
    await pod.remove();
    const [artifact] = taken.containers;
    const info = artifact?.archive;
    assert.ok(artifact && info);
    assert.match(info.uri, /^shared:/, info.repositoryProblem);
    const { uri, sha256, bytes } = info;
    return {
      artifact,
      info,
      source: { containerName: 'counter', uri, sha256, bytes, address: '', nodeName: '' },
    };
  };

  /** Puts an archive into the repository, and answers how a restore asks for it. */
  const place = (bytes: Buffer, more: Partial<ArchiveSource> = {}): ArchiveSource => {
    const file = `${randomUUID()}-counter-2026-01-01T00:00:00Z.tar`;
    writeFileSync(join(pair.repository, file), bytes, { mode: 0o600 });
    return {
      containerName: 'counter',
      uri: `shared://${file}`,
      sha256: createHash('sha256').update(bytes).digest(),
      bytes: BigInt(bytes.length),
      address: '',
      nodeName: '',
      ...more,
    };
  };

  const startTarget = async (on: AgentNode, name: string, more: Partial<TestPod> = {}): Promise<Target> => {
    const migration = randomUUID();
    const pod = await runPod(
      on.node,
      on.cri,
      { ...counterPod, name, handler: 'lpm', annotations: { [ANNOTATION.migration]: migration }, ...more },
      { startContainer: false },
    );
    const started = pod.start().then(
      () => undefined,
      (error: Error) => error,
    );
    await until(
      'the handler waits',
      async () => (await on.agent.call('getPodState', { podUid: pod.uid })).target?.containers[0]?.waiting,
      { everyMs: 10 },
    );
    return { ...pod, migration, started };
  };

  const restore = (on: AgentNode, target: Target, ...archives: ArchiveSource[]): Promise<RestoreResult> =>
    on.agent.restore({
      restoreUid: target.migration,
      pod: ref(target),
      checkpointUid: '',
      sourceAddress: '',
      sourceNodeName: '',
      containerNames: ['counter'],
      hold: false,
      archives,
    }) as Promise<RestoreResult>;

  const failsWith = async (work: Promise<unknown>, reason: string, says: RegExp): Promise<void> => {
    const error = await work.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    assert.ok(error instanceof AgentError, String(error));
    assert.equal(error.reason, reason, error.message);
    assert.match(error.message, says);
  };

  /** Revokes a restore that was refused, and sees that nothing of it ever started. */
  const nothingStarts = async (on: AgentNode, target: Target): Promise<void> => {
    const revoked = await on.agent.call('revoke', { podUid: target.uid, restoreUid: target.migration });
    assert.equal(revoked.claim, Claim.CLAIM_REVOKED);
    assert.match(String(await target.started), /was taken back/);
    assert.deepEqual(counts(on, target), [], 'nothing was counted');
    await target.remove();
  };

  const inRepository = ({ uri }: ArchiveSource): string =>
    join(pair.repository, uri.slice('shared://'.length));

  await t.test(
    'deleted and brought back on another node, and once more as its twin: both count on',
    async () => {
      const { artifact, info, source } = await checkpointed(
        {},
        { compression: ArchiveCompression.ARCHIVE_COMPRESSION_GZIP },
      );
      const described = info.description;
      assert.equal(described?.processes[0]?.command, 'sh');
      assert.ok(described.processes[0].memoryBytes > 0n && described.criuVersion && described.imageRef);
      assert.ok(described.mounts.some(({ destination, type }) => destination === '/data' && type === 'bind'));

      const twins: Target[] = [];
      const archives: [name: string, archive: ArchiveSource][] = [
        ['from the repository', source],
        // The same archive as it lies on its own node, read through the agent there.
        [
          'from the other node',
          { ...source, uri: `file://${artifact.path}`, address: a.address, nodeName: a.node.name },
        ],
      ];
      for (const [name, archive] of archives) {
        const target = await startTarget(b, `twin-${name.replaceAll(' ', '-')}`);
        const result = await restore(b, target, archive);
        assert.equal(await target.started, undefined);
        assert.equal(result.claim, Claim.CLAIM_COMMITTED);
        assert.equal(result.bytesTransferred, archive.bytes);
        await counting(b, target);
        twins.push(target);
      }
      for (const target of twins) {
        // Both files and both logs hold every count once, and are their own.
        assert.equal(countProblem(counts(b, target)), undefined);
        const log = countsIn(readFileSync(b.node.path(target.logPath), 'utf8'));
        assert.equal(countProblem(log), undefined);
        // Asking again after everything is over finds the same.
        assert.equal((await restore(b, target, source)).claim, Claim.CLAIM_COMMITTED);
        await target.remove();
      }
      assert.ok(statSync(inRepository(source)).isFile(), 'the archive is still there');
    },
  );

  await t.test('altered, cut off or of another container it is refused, and nothing starts', async () => {
    const { source } = await checkpointed();
    const whole = readFileSync(inRepository(source));
    const altered = Buffer.from(whole);
    altered[Math.floor(whole.length / 2)]! ^= 1;
    const announced = { sha256: source.sha256, bytes: source.bytes };
    const other = rawTar(...archiveParts({ 'config.dump': Buffer.from('{}') }, 'other'));
    for (const [archive, says] of [
      [place(altered, announced), /has the SHA-256 /],
      [place(whole.subarray(0, 10_000), announced), /is cut off: 10000 of/],
      [place(other), /holds the container other, not counter/],
    ] as const) {
      const target = await startTarget(b, 'refused');
      await failsWith(restore(b, target, archive), 'ArtifactInvalid', says);
      await nothingStarts(b, target);
    }
  });

  await t.test(
    'encrypted and compressed it is brought back where its identity is, and refused where that is not',
    async () => {
      const identity = await generateIdentity();
      writeFileSync(a.node.path(RECIPIENTS), `${await identityToRecipient(identity)}\n`);
      const { info, source } = await checkpointed(
        {},
        { compression: ArchiveCompression.ARCHIVE_COMPRESSION_ZSTD, encrypt: true },
      );
      assert.match(source.uri, /\.tar\.zst\.age$/);
      assert.equal(info.description?.processes[0]?.command, 'sh', 'described by who can encrypt only');

      const refused = await startTarget(b, 'locked');
      await failsWith(
        restore(b, refused, source),
        'EncryptionNotSetUp',
        /archive-identities, cannot be read/,
      );
      await nothingStarts(b, refused);

      writeFileSync(b.node.path(IDENTITIES), `${identity}\n`, { mode: 0o600 });
      const target = await startTarget(b, 'unlocked');
      assert.equal((await restore(b, target, source)).claim, Claim.CLAIM_COMMITTED);
      assert.equal(await target.started, undefined);
      await counting(b, target);
      assert.equal(countProblem(counts(b, target)), undefined);
      await target.remove();
    },
  );

  await t.test(
    'a pod with fewer rights is brought back with these, and gets no more from an archive',
    async () => {
      const { source } = await checkpointed({ security: restricted, runAsUser: 1000 });
      const same = await startTarget(b, 'restricted', { security: restricted, runAsUser: 1000 });
      await restore(b, same, source);
      assert.equal(await same.started, undefined);
      await counting(b, same);
      assert.equal(countProblem(counts(b, same)), undefined);
      await same.remove();

      const { source: mighty } = await checkpointed();
      const lesser = await startTarget(b, 'lesser', { security: restricted });
      await failsWith(
        restore(b, lesser, mighty),
        'ArchiveNotAllowed',
        /holds a process with the capability CAP_[A-Z_]+, which the pod does not allow/,
      );
      await nothingStarts(b, lesser);

      const hidden = await startTarget(b, 'hidden', {
        security: { maskedPaths: restricted.maskedPaths, readonlyPaths: restricted.readonlyPaths },
      });
      await failsWith(restore(b, hidden, mighty), 'ArchiveNotAllowed', /leaves \/proc\/\S+ open/);
      await nothingStarts(b, hidden);
    },
  );
});
