/** Archives of users' checkpoints on real nodes: what lies where, who can read it, and what a crash or a full disk leaves of it. */
import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { generateIdentity, identityToRecipient } from 'age-encryption';
import { decrypt } from '../../agent/archives/age.js';
import { parseManifest } from '../../agent/archives/manifest.js';
import { CHECKPOINT_REPOSITORY, KUBELET_CHECKPOINTS } from '../../common/api/names.js';
import type { FaultPoint } from '../../common/fault-points.js';
import {
  ArchiveCompression,
  Step,
  TcpMode,
  type CheckpointRequest,
  type CheckpointResult,
} from '../../proto/gen/lpm/v1/agent.js';
import { counterPod, runPod, type RunningPod, type TestPod } from '../cluster/cri.js';
import { countProblem, countsIn } from '../support/counts.js';
import { until } from '../support/until.js';
import { AgentError } from './client.js';
import { serving, startPair, type AgentNode, type Pair } from './pair.js';

const skip = process.getuid?.() !== 0 && 'needs root: nodes with containerd, runc and CRIU';
const NONE = ArchiveCompression.ARCHIVE_COMPRESSION_NONE;
const GZIP = ArchiveCompression.ARCHIVE_COMPRESSION_GZIP;
const ZSTD = ArchiveCompression.ARCHIVE_COMPRESSION_ZSTD;
const RECIPIENTS = '/etc/lpm/archive-recipients';

test('archives of checkpoints', { skip }, async (t) => {
  let pair: Pair;
  let a: AgentNode;
  const clusterUid = randomUUID();
  before(async () => {
    pair = await startPair({
      faults: true,
      repository: true,
      flags: ['--archive-recipients', RECIPIENTS, '--repository-timeout', '5'],
    });
    ({ a } = pair);
    mkdirSync(a.node.path('/run/lpm-faults/fired'), { recursive: true });
  });
  after(async () => pair?.stop());

  const counts = (pod: RunningPod): number[] =>
    countsIn(readFileSync(a.node.path(`${pod.volumes.data}/counter.log`), 'utf8'));
  const counting = async (pod: RunningPod): Promise<void> => {
    const from = counts(pod).at(-1) ?? 0;
    await until(`${pod.name} counts on`, () => (counts(pod).at(-1) ?? 0) >= from + 3);
    assert.equal(countProblem(counts(pod)), undefined);
  };
  const start = async (more: Partial<TestPod> = {}): Promise<RunningPod> => {
    const pod = await runPod(a.node, a.cri, {
      ...counterPod,
      name: `counter-${randomUUID().slice(0, 8)}`,
      ...more,
    });
    await until('it counts', () => counts(pod).length >= 3);
    return pod;
  };
  const request = (
    pod: RunningPod,
    archive: Partial<CheckpointRequest['archive']> = {},
    more: Partial<CheckpointRequest> = {},
  ): CheckpointRequest => ({
    checkpointUid: randomUUID(),
    pod: { namespace: pod.namespace, name: pod.name, uid: pod.uid },
    containers: [{ name: 'counter', containerId: pod.containerId }],
    tcp: TcpMode.TCP_MODE_CLOSE,
    thawAfter: true,
    owner: undefined,
    dumpTimeout: undefined,
    archive: { clusterUid, compression: NONE, encrypt: false, podJson: '{"kind":"Pod"}', ...archive },
    ...more,
  });
  const checkpoint = (asked: CheckpointRequest, steps?: Set<Step>) =>
    a.agent.checkpoint(asked, ({ step }) => steps?.add(step)) as Promise<CheckpointResult>;
  const archiveOf = (result: CheckpointResult, container = 'counter') => {
    const found = result.containers.find(({ containerName }) => containerName === container)?.archive;
    assert.ok(found, `container ${container} has an archive`);
    return found;
  };
  const errorOf = (work: Promise<unknown>): Promise<AgentError> =>
    work.then(
      () => assert.fail('nothing was refused'),
      (error: unknown) => {
        assert.ok(error instanceof AgentError, String(error));
        return error;
      },
    );
  const inFolder = (folder: string): string[] => {
    const path = a.node.path(folder);
    return existsSync(path) ? readdirSync(path).sort() : [];
  };
  /** Everything that lies where archives lie, and what leads to it. */
  const all = () => ({
    node: inFolder(KUBELET_CHECKPOINTS),
    repository: inFolder(CHECKPOINT_REPOSITORY).filter((name) => name !== '.lpm'),
    sidecars: inFolder(`${CHECKPOINT_REPOSITORY}/.lpm`),
    records: inFolder('/var/lib/lpm/archives'),
    artifacts: inFolder('/var/lib/lpm/artifacts').filter((name) => !name.endsWith('.thawed')),
  });
  const must = async (...argv: string[]): Promise<string> => {
    const { code, stderr, stdout } = await a.node.exec(argv);
    assert.equal(code, 0, `${argv.join(' ')}: ${stderr}`);
    return stdout;
  };
  const repositoryPath = (uri: string): string => uri.replace('shared:/', CHECKPOINT_REPOSITORY);
  const read = (path: string): Buffer => readFileSync(a.node.path(path));
  const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
  const restart = async (): Promise<void> => {
    await a.node.restartService('agent', { signal: 'KILL' });
    await serving(a);
  };

  await t.test('a counter is archived while it counts on, here and in the repository', async () => {
    const pod = await start();
    const asked = request(pod);
    const steps = new Set<Step>();
    const result = await checkpoint(asked, steps);
    assert.ok(steps.has(Step.STEP_ARCHIVE));
    await counting(pod);

    const { bytes, repositoryProblem, restorable, sha256: hash, uri } = archiveOf(result);
    const stamp = result.frozenAt!.toISOString().replace(/\.\d+/, '');
    assert.equal(uri, `shared://${pod.uid}-counter-${stamp}.tar`);
    assert.equal(repositoryProblem, '');
    assert.ok(restorable);
    const kubeletPath = `${KUBELET_CHECKPOINTS}/checkpoint-${pod.name}_default-counter-${stamp}.tar`;
    assert.equal(result.containers[0]!.path, kubeletPath);
    for (const path of [kubeletPath, repositoryPath(uri)]) {
      const contents = read(path);
      assert.equal(sha256(contents), Buffer.from(hash).toString('hex'));
      assert.equal(contents.length, Number(bytes));
      assert.equal(statSync(a.node.path(path)).mode & 0o777, 0o600, path);
    }
    assert.ok(existsSync(pair.b.node.path(repositoryPath(uri))), 'the other node sees it');
    assert.deepEqual(all().artifacts, [], 'the artifacts are gone');

    const frozenMs = Number(result.frozenFor!.seconds) * 1000 + result.frozenFor!.nanos / 1e6;
    assert.ok(frozenMs > 0 && frozenMs < result.completedAt!.getTime() - result.frozenAt!.getTime());

    const names = (await must('tar', '--force-local', '-tf', kubeletPath)).trim().split('\n');
    assert.equal(names[0], 'lpm.json');
    for (const name of [
      'config.dump',
      'spec.dump',
      'stats-dump',
      'dump.log',
      'checkpoint/',
      'rootfs-diff.tar',
    ]) {
      assert.ok(names.includes(name), `${name} is in it`);
    }
    assert.ok(names.includes('volumes/data.tar') && names.includes('container.log'));
    const entry = async (name: string): Promise<Buffer> =>
      Buffer.from(await must('tar', '--force-local', '-xOf', kubeletPath, name));
    const manifest = parseManifest(await entry('lpm.json'));
    assert.equal(manifest.checkpointUid, asked.checkpointUid);
    assert.equal(manifest.clusterUid, clusterUid);
    assert.equal(manifest.nodeName, 'node-a');
    assert.deepEqual(manifest.pod, asked.pod);
    assert.equal(manifest.podJson, '{"kind":"Pod"}');
    const files = names.filter((name) => !name.endsWith('/') && name !== 'lpm.json');
    assert.deepEqual(
      manifest.files.map(({ path }) => path),
      files,
    );
    for (const { path, sha256: wanted } of manifest.files.filter((each) => each.path.endsWith('.dump'))) {
      assert.equal(sha256(await entry(path)), wanted, path);
    }

    const again = await checkpoint(asked);
    assert.deepEqual(again, result, 'asked again it answers the same');
    await restart();
    assert.deepEqual(await checkpoint(asked), result, 'a new agent knows it too');
    assert.equal(all().node.filter((name) => name.includes(pod.name)).length, 1);
    await pod.remove();
  });

  await t.test('public tools read it', async () => {
    const pod = await start();
    const result = await checkpoint(request(pod));
    const { path } = result.containers[0]!;
    const shown = await must('checkpointctl', 'show', path);
    assert.match(shown, /counter/);
    const inspected = await must('checkpointctl', 'inspect', '--all', path);
    assert.match(inspected, /counter/);
    assert.match(inspected, /Process tree/i);
    await must('sh', '-c', `mkdir -p /tmp/crit && tar --force-local -C /tmp/crit -xf ${path}`);
    assert.match(await must('crit', 'decode', '-i', '/tmp/crit/checkpoint/pstree.img'), /"pid"/);
    assert.match(await must('crit', 'x', '/tmp/crit/checkpoint', 'ps'), /sh|sleep/);
    await pod.remove();
  });

  await t.test('two containers that write one sequence in turns are archived as of one moment', async () => {
    const takingTurns = (mine: number): string[] => [
      '/bin/sh',
      '-c',
      `[ ${mine} = 0 ] && echo 0 >>/data/counter.log; while true; do N=$(tail -n 1 /data/counter.log); ` +
        `[ "$((N % 2))" = ${mine} ] && echo "$((N + 1))" | tee -a /data/counter.log; done`,
    ];
    const pod = await runPod(a.node, a.cri, {
      ...counterPod,
      name: `turns-${randomUUID().slice(0, 8)}`,
      command: takingTurns(0),
    });
    const containerId = await pod.createContainer({ name: 'other', command: takingTurns(1) });
    await a.cri.runtime.startContainer({ containerId });
    const sequence = (text: string): number[] => text.trim().split('\n').map(Number);
    const live = (): number[] => sequence(read(`${pod.volumes.data}/counter.log`).toString());
    await until('they take turns', () => live().length > 50);
    const result = await checkpoint(
      request(
        pod,
        {},
        {
          containers: [
            { name: 'counter', containerId: pod.containerId },
            { name: 'other', containerId },
          ],
        },
      ),
    );
    const length = live().length;
    await until('they go on', () => live().length > length + 20);
    const stamps = result.containers.map(({ archive }) => /\d{4}-.*Z/.exec(archive!.uri.slice(-25))?.[0]);
    assert.equal(stamps[0], stamps[1], 'both are named after one moment');
    const inArchive = (path: string, name: string): Promise<string> =>
      must('sh', '-c', `tar --force-local -xOf '${path}' '${name}'`);
    const [first, second] = result.containers.map(({ path }) => path) as [string, string];
    const saved = sequence(
      await must('sh', '-c', `tar --force-local -xOf '${first}' volumes/data.tar | tar -xOf - ./counter.log`),
    );
    assert.deepEqual(
      saved,
      saved.map((_, index) => index),
      'the volume has the sequence without a gap',
    );
    const last = saved.at(-1)!;
    const said = await Promise.all(
      [first, second].map(async (path) =>
        Number(/(\d+)\s*$/.exec((await inArchive(path, 'container.log')).trim())?.[1]),
      ),
    );
    assert.ok(
      Math.abs(Math.max(...said) - last) <= 1,
      `${said.join(' and ')} were said last, ${last} was written last`,
    );
    assert.ok(
      Math.min(...said) >= last - 2,
      `${said.join(' and ')} were said last, ${last} was written last`,
    );
    await pod.remove();
  });

  await t.test('where there is no repository it stays on the node, and the answer says why', async () => {
    const pod = await start();
    const mounted = CHECKPOINT_REPOSITORY;
    const unhappy = async (why: RegExp): Promise<void> => {
      const result = await checkpoint(request(pod));
      const { repositoryProblem, uri } = archiveOf(result);
      assert.equal(uri, `file://${result.containers[0]!.path}`);
      assert.match(repositoryProblem, why);
      assert.ok(existsSync(a.node.path(uri.slice('file://'.length))));
      await counting(pod);
    };
    const happy = async (): Promise<void> => {
      assert.match(archiveOf(await checkpoint(request(pod))).uri, /^shared:/);
    };
    await happy();
    await must('sh', '-c', `mkdir -p /tmp/elsewhere && mount --bind ${mounted} /tmp/elsewhere`);
    // In the node another file system covers the shared folder.
    await must('mount', '-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', mounted);
    await unhappy(/repository .* is full/);
    assert.deepEqual(
      inFolder(mounted).filter((name) => name !== '.lpm'),
      [],
      'nothing half is left there',
    );
    assert.deepEqual(inFolder(`${mounted}/.lpm`), []);
    await must('mount', '-o', 'remount,ro', mounted);
    await unhappy(/read-only/);
    const { repository } = await a.agent.call('listArchives', { clusterUid });
    assert.ok(!repository!.shared && /read-only/.test(repository!.problem));
    await must('umount', mounted);
    await happy();
    await must('umount', mounted);
    await unhappy(/is not a mount point/);
    await must('mount', '--bind', '/tmp/elsewhere', mounted);
    await happy();
    await must('umount', '/tmp/elsewhere');
    await pod.remove();
  });

  await t.test(
    'an archive is listed, read by other agents, and removed for its own checkpoint only',
    async () => {
      const pod = await start();
      const asked = request(pod);
      const { sha256: hash, uri } = archiveOf(await checkpoint(asked));
      const { path } = (await checkpoint(asked)).containers[0]!;
      const holding = async (node: AgentNode, cluster = clusterUid) =>
        (await node.agent.call('listArchives', { clusterUid: cluster })).archives.find(
          (each) => each.uri === uri,
        );
      for (const node of [a, pair.b]) {
        const found = await holding(node);
        assert.equal(found?.checkpointUid, asked.checkpointUid);
        assert.deepEqual(found?.pod, asked.pod);
        assert.equal(found?.nodeName, 'node-a');
      }
      assert.equal(await holding(pair.b, randomUUID()), undefined, 'another cluster is not told');

      const metrics = await must(
        'node',
        '-e',
        "fetch('http://127.0.0.1:50052/metrics').then((answer) => answer.text()).then(console.log)",
      );
      assert.match(metrics, /^lpm_agent_bytes_dumped_total [1-9]\d*$/m);
      assert.match(metrics, /^lpm_agent_step_seconds_count\{step="dump"\} [1-9]\d*$/m);
      assert.match(metrics, /^lpm_agent_archives [1-9]\d*$/m);
      assert.match(metrics, /^lpm_agent_archive_bytes [1-9]\d*$/m);
      assert.match(metrics, /^lpm_agent_repository_free_bytes [1-9]\d*$/m);

      const local = `file://${path}`;
      assert.equal(
        sha256(await a.agent.readArchive({ uri: local, sha256: hash })),
        Buffer.from(hash).toString('hex'),
      );
      const refused = async (node: AgentNode, each: string): Promise<string> =>
        (await errorOf(node.agent.readArchive({ uri: each, sha256: hash }))).reason;
      assert.equal(await refused(pair.b, local), 'ArchiveNotFound', 'it lies on another node');
      assert.equal(await refused(a, 'file:///etc/shadow'), 'InvalidArgument');
      const foreign = `${KUBELET_CHECKPOINTS}/checkpoint-foreign_default-x-2026-01-01T00:00:00Z.tar`;
      writeFileSync(a.node.path(foreign), 'a file that somebody else has put there');
      assert.equal(await refused(a, `file://${foreign}`), 'ArchiveNotFound', 'there is no record of it');
      await must('rm', foreign);
      const whole = read(path);
      await must('sh', '-c', `printf X | dd of='${path}' bs=1 seek=2000 conv=notrunc status=none`);
      assert.equal(await refused(a, local), 'ArtifactInvalid', 'it was altered');
      await must('sh', '-c', `mv '${path}' /tmp/kept.tar && ln -s /tmp/kept.tar '${path}'`);
      assert.equal(await refused(a, local), 'ArtifactInvalid', 'it is a link');
      await must('rm', path);
      writeFileSync(a.node.path(path), whole, { mode: 0o600 });

      const remove = (node: AgentNode, each: string, checkpointUid: string) =>
        node.agent.call('removeArchive', { uri: each, checkpointUid });
      for (const node of [a, pair.b]) {
        assert.equal((await errorOf(remove(node, uri, randomUUID()))).reason, 'ArchiveMismatch');
      }
      assert.ok(await holding(pair.b), 'it is still there');
      const { bytesFreed } = await remove(a, uri, asked.checkpointUid);
      assert.equal(bytesFreed, 2n * BigInt(whole.length), 'here and in the repository');
      assert.ok(!existsSync(a.node.path(path)) && !existsSync(a.node.path(repositoryPath(uri))));
      assert.equal(await holding(a), undefined);
      assert.equal((await remove(a, uri, asked.checkpointUid)).bytesFreed, 0n, 'twice is no error');
      assert.equal((await errorOf(checkpoint(asked))).reason, 'Revoked', 'it is not made again');
      await pod.remove();
    },
  );

  await t.test('two checkpoints within one second have two names', async () => {
    const pod = await start();
    const uris: string[] = [];
    for (let round = 0; round < 3; round++) uris.push(archiveOf(await checkpoint(request(pod))).uri);
    assert.equal(new Set(uris).size, 3);
    await pod.remove();
  });

  await t.test(
    'compressed and encrypted, and then nothing of the memory lies there in plain text',
    async () => {
      const identity = await generateIdentity();
      const marker = `MARKER-${randomUUID()}`;
      const pod = await start({
        command: ['/bin/sh', '-c', `HELD=$(echo ${marker} | tr a-z A-Z); ${counterPod.command![2]}`],
      });
      const lies = async (): Promise<string> =>
        (
          await a.node.exec([
            'grep',
            '-rlia',
            marker,
            KUBELET_CHECKPOINTS,
            CHECKPOINT_REPOSITORY,
            '/var/lib/lpm/artifacts',
          ])
        ).stdout;
      assert.equal((await errorOf(checkpoint(request(pod, { encrypt: true })))).reason, 'EncryptionNotSetUp');
      await counting(pod);
      writeFileSync(a.node.path(RECIPIENTS), `# who may read them\n${await identityToRecipient(identity)}\n`);
      const sealed = archiveOf(await checkpoint(request(pod, { encrypt: true, compression: ZSTD })));
      assert.match(sealed.uri, /\.tar\.zst\.age$/);
      assert.equal(await lies(), '', 'nothing holds the marker');
      await must('mkdir', '-p', '/tmp/opened');
      const opened: Uint8Array[] = [];
      async function* file() {
        yield read(repositoryPath(sealed.uri));
      }
      for await (const piece of decrypt(file(), [identity])) opened.push(piece);
      writeFileSync(a.node.path('/tmp/opened/tar.zst'), Buffer.concat(opened));
      assert.match(await must('sh', '-c', 'zstd -dc /tmp/opened/tar.zst | tar -t'), /^lpm\.json\n/);
      const zipped = archiveOf(await checkpoint(request(pod, { compression: GZIP })));
      assert.match(zipped.uri, /\.tar\.gz$/);
      assert.match(await must('tar', '--force-local', '-tzf', repositoryPath(zipped.uri)), /^lpm\.json\n/);
      await checkpoint(request(pod));
      assert.notEqual(await lies(), '', 'not encrypted it is found, so it would have been');
      await pod.remove();
    },
  );

  const points: readonly FaultPoint[] = [
    'agent.checkpoint.dumping',
    'agent.archive.packing',
    'agent.archive.recorded',
    'agent.archive.named',
    'agent.archive.shared',
    'agent.archive.kept',
    'agent.archive.answered',
  ];
  for (const point of points) {
    await t.test(
      `the agent is killed at ${point}: asked again it succeeds, and nothing half is left`,
      async () => {
        const pod = await start();
        const asked = request(pod);
        const earlier = all();
        writeFileSync(a.node.path(`/run/lpm-faults/${point}`), 'kill');
        await assert.rejects(checkpoint(asked));
        await serving(a);
        await counting(pod);
        const between = all();
        for (const [kind, files] of Object.entries(between)) {
          const whole = point === 'agent.archive.kept' || point === 'agent.archive.answered';
          const more = files.filter((name) => !earlier[kind as keyof typeof earlier].includes(name));
          // Artifacts that wait to be packed are no half archive.
          if (kind === 'artifacts') continue;
          assert.equal(more.length, whole ? 1 : 0, `${kind}: ${more.join(', ')}`);
        }
        const result = await checkpoint(asked);
        const { sha256: hash, uri } = archiveOf(result);
        assert.match(uri, /^shared:/);
        assert.equal(sha256(read(repositoryPath(uri))), Buffer.from(hash).toString('hex'));
        assert.deepEqual(await checkpoint(asked), result);
        const later = all();
        assert.equal(later.artifacts.length, 0);
        for (const kind of ['node', 'repository', 'sidecars', 'records'] as const) {
          assert.equal(later[kind].length, earlier[kind].length + 1, `${kind} has one more`);
        }
        await counting(pod);
        await pod.remove();
      },
    );
  }

  await t.test(
    'a full disk is told, before the pod is frozen or after it was thawed, and leaves nothing',
    async () => {
      const pod = await start({
        command: [
          '/bin/sh',
          '-c',
          `HELD=$(head -c 3000000 /dev/urandom | base64); ${counterPod.command![2]}`,
        ],
      });
      await must('mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', KUBELET_CHECKPOINTS);
      const before = all();
      const early = await errorOf(checkpoint(request(pod)));
      assert.equal(early.reason, 'NoSpace');
      await counting(pod);
      // How little it will be when it is compressed nobody knows before.
      const late = await errorOf(checkpoint(request(pod, { compression: GZIP })));
      assert.equal(late.reason, 'NoSpace', late.message);
      assert.ok(late.detail.sourceThawed);
      await counting(pod);
      assert.deepEqual(all(), before, 'nothing is left of either');
      await must('umount', KUBELET_CHECKPOINTS);
      await checkpoint(request(pod));
      await pod.remove();
    },
  );
});
