/** Checkpoints by the kubelet, asked of an agent in the local cluster: each is made once, whole and kept, or says why not. */
import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  ArchiveCompression,
  type CheckpointByKubeletRequest,
  type CheckpointResult,
} from '../../proto/gen/lpm/v1/agent.js';
import { hasTarEnd } from '../../agent/kubelet/tar-end.js';
import { clusterDown, clusterUp, type Cluster } from '../cluster/cluster.js';
import { checkpointSwitch } from '../cluster/kubelet/checkpoint.js';
import type { NodeHandle } from '../cluster/node/handle.js';
import { countProblem, countsIn } from '../support/counts.js';
import { until } from '../support/until.js';
import { AgentError, type AgentClient } from './client.js';
import { connectClusterAgent } from './cluster-agent.js';

const skip = process.getuid?.() !== 0 && 'needs root: nodes of namespaces, mounts and cgroups';
const folder = '/var/lib/kubelet/checkpoints';

test('checkpoints by the kubelet', { skip }, async (t) => {
  const dir = join(mkdtempSync(join(tmpdir(), 'lpm-by-kubelet-')), 'cluster');
  let cluster: Cluster;
  let worker: NodeHandle;
  let agent: AgentClient;
  let close = (): void => {};
  let pod: { uid: string; containerId: string };
  before(async () => {
    cluster = await clusterUp({ dir, faults: true });
    worker = cluster.node('k8s-worker');
    const { code, stderr } = await cluster.kubectl(['apply', '-f', '-'], { stdin: JSON.stringify(counter) });
    assert.equal(code, 0, stderr);
    await until('it counts', async () => (await counts()).length > 3);
    const found = JSON.parse((await cluster.kubectl(['get', 'pod', 'counter', '-o', 'json'])).stdout) as {
      metadata: { uid: string };
      status: { containerStatuses: { name: string; containerID: string }[] };
    };
    const status = found.status.containerStatuses.find(({ name }) => name === 'counter');
    pod = { uid: found.metadata.uid, containerId: status?.containerID.split('//')[1] ?? '' };
    ({ agent, close } = await connectClusterAgent(cluster, 'k8s-worker'));
  });
  after(async () => {
    close();
    await clusterDown({ dir });
    rmSync(join(dir, '..'), { recursive: true, force: true });
  });

  const counts = async (): Promise<number[]> =>
    countsIn((await cluster.kubectl(['logs', 'counter', '-c', 'counter'])).stdout);
  const countsOn = async (): Promise<void> => {
    const before_ = (await counts()).length;
    await until('it counts on', async () => (await counts()).length > before_ + 3);
    assert.equal(countProblem(await counts()), undefined);
  };
  const request = (more: Partial<CheckpointByKubeletRequest> = {}): CheckpointByKubeletRequest => ({
    checkpointUid: randomUUID(),
    pod: { namespace: 'default', name: 'counter', uid: pod.uid },
    container: { name: 'counter', containerId: pod.containerId },
    timeout: undefined,
    archive: {
      clusterUid: randomUUID(),
      compression: ArchiveCompression.ARCHIVE_COMPRESSION_NONE,
      encrypt: false,
      podJson: '',
    },
    ...more,
  });
  const archiveOf = ({ containers: [container] }: CheckpointResult) => {
    assert.ok(container?.archive);
    return { ...container.archive, path: container.path };
  };
  const files = (): string[] => {
    try {
      return readdirSync(worker.path(folder)).sort();
    } catch {
      return [];
    }
  };
  const problemOf = (asked: CheckpointByKubeletRequest): Promise<AgentError> =>
    agent.checkpointByKubelet(asked).then(
      () => assert.fail('it succeeded'),
      (error: unknown) => {
        assert.ok(error instanceof AgentError, String(error));
        return error;
      },
    );
  const inNode = async (script: string): Promise<void> => {
    const { code, stderr } = await worker.exec(['sh', '-c', script]);
    assert.equal(code, 0, stderr);
  };
  const turn = (words: string): Promise<void> => inNode(`echo '${words}' >${checkpointSwitch}`);
  const turnBack = (): Promise<void> => inNode(`rm -f ${checkpointSwitch}`);

  await t.test(
    'one is kept whole, with what is not in it, and asking again makes no second one',
    async () => {
      const asked = request();
      const result = await agent.checkpointByKubelet(asked);
      const archive = archiveOf(result);
      const bytes = readFileSync(worker.path(archive.path));
      assert.match(
        archive.path,
        new RegExp(`^${folder}/checkpoint-counter_default-counter-[0-9TZ:-]+\\.tar$`),
      );
      assert.equal(statSync(worker.path(archive.path)).mode & 0o777, 0o600);
      assert.equal(
        Buffer.from(archive.sha256).toString('hex'),
        createHash('sha256').update(bytes).digest('hex'),
      );
      assert.equal(Number(archive.bytes), bytes.length);
      assert.deepEqual(archive.restorable, false);
      for (const tool of [
        ['checkpointctl', 'show', archive.path],
        ['checkpointctl', 'inspect', archive.path, '--ps-tree'],
      ]) {
        const { code, stdout, stderr } = await worker.exec(tool);
        assert.equal(code, 0, `${tool.join(' ')}: ${stderr}`);
        assert.match(stdout, /counter/);
      }
      // CRIU's own reader, on the images that lie in it.
      const read = await worker.exec([
        'sh',
        '-c',
        'mkdir -p /tmp/crit && tar --force-local -C /tmp/crit -xf "$0" && crit decode -i /tmp/crit/checkpoint/pstree.img; rm -r /tmp/crit',
        archive.path,
      ]);
      assert.match(read.stdout, /"pid"/, read.stderr);
      const gaps = archive.gaps.join('\n');
      assert.match(gaps, /emptyDir volume data \(\/data\)/);
      assert.match(gaps, /\/dev\/shm/);
      assert.match(gaps, /beside went on while counter was saved/);
      assert.match(result.containers[0]?.image ?? '', /busybox:1\.35/);
      await countsOn();
      const before_ = files();
      assert.deepEqual(await agent.checkpointByKubelet(asked), result);
      await worker.restartService('agent', { signal: 'KILL' });
      await agent.serving();
      assert.deepEqual(await agent.checkpointByKubelet(asked), result, 'a new agent knows it too');
      assert.deepEqual(files(), before_);
    },
  );

  await t.test('of several at once each gets a second and an archive of its own', async () => {
    const before_ = files();
    const results = await Promise.all([1, 2, 3].map(() => agent.checkpointByKubelet(request())));
    assert.equal(new Set(results.map((each) => archiveOf(each).path)).size, 3);
    assert.equal(files().length, before_.length + 3);
    await countsOn();
  });

  await t.test(
    'an agent that died while the kubelet answered finds the archive and asks for no other',
    async () => {
      const before_ = files();
      const asked = request();
      await turn('hold');
      const cut = agent.checkpointByKubelet(asked).catch(() => 'cut');
      await until('the kubelet has saved it', async () => files().length > before_.length);
      const made = files().find((file) => !before_.includes(file));
      // Not by tar(1): it takes an archive that ends between two members for a whole one.
      await until('the archive is whole', () => hasTarEnd(worker.path(`${folder}/${made}`)));
      await worker.restartService('agent', { signal: 'KILL' });
      // Its client may have asked again by itself.
      await cut;
      await turnBack();
      await agent.serving();
      const result = await agent.checkpointByKubelet(asked);
      assert.equal(archiveOf(result).path, `${folder}/${made}`);
      assert.equal(files().length, before_.length + 1, files().join(' '));
      await countsOn();
    },
  );

  await t.test('a compressed one stands in for the plain one', async () => {
    const before_ = files();
    const base = request();
    const archive = { ...base.archive!, compression: ArchiveCompression.ARCHIVE_COMPRESSION_GZIP };
    const kept = archiveOf(await agent.checkpointByKubelet({ ...base, archive }));
    assert.match(kept.uri, /\.tar\.gz$/);
    const fresh = files().filter((file) => !before_.includes(file));
    assert.equal(fresh.length, 1, fresh.join(' '));
    assert.match(fresh[0] ?? '', /\.tar\.gz$/);
  });

  await t.test('a disk that is full: it says so, leaves no file, and works when there is room', async () => {
    await inNode(`mkdir -p ${folder}.aside && mount -t tmpfs -o size=64k none ${folder}`);
    const error = await problemOf(request());
    assert.equal(error.reason, 'NoSpace', error.message);
    assert.deepEqual(files(), []);
    await countsOn();
    await inNode(`umount ${folder}`);
    await agent.checkpointByKubelet(request());
    await countsOn();
  });

  await t.test('what the kubelet refuses is told with its reason, and the container runs on', async () => {
    const before_ = files();
    const answers: [string, string][] = [
      ['off', 'KubeletCheckpointDisabled'],
      ['forbidden', 'KubeletForbidden'],
      [
        'fail rpc error: code = Unknown desc = checkpoint/restore support not available',
        'RuntimeNotSupported',
      ],
    ];
    for (const [words, reason] of answers) {
      await turn(words);
      assert.equal((await problemOf(request())).reason, reason);
    }
    await turnBack();
    const other = {
      name: 'counter',
      containerId: pod.containerId.replace(/^./, (c) => (c === 'a' ? 'b' : 'a')),
    };
    assert.equal((await problemOf(request({ container: other }))).reason, 'SourceChanged');
    assert.deepEqual(files(), before_);
    await countsOn();
  });

  await t.test('without CRIU it says what to install', async () => {
    const places = 'for d in /usr/local/sbin /usr/local/bin /usr/sbin /usr/bin; do';
    await inNode(`${places} [ ! -e $d/criu ] || mv $d/criu $d/criu.away; done`);
    const error = await problemOf(request());
    await inNode(`${places} [ ! -e $d/criu.away ] || mv $d/criu.away $d/criu; done`);
    assert.equal(error.reason, 'CriuMissing', `${error.message} ${error.detail.log}`);
    assert.match(error.detail.hint, /Install CRIU/);
  });

  await t.test(
    'a ServiceAccount’s token is enough; with nothing to show it says what it looked for',
    async () => {
      const account = '/var/run/secrets/kubernetes.io/serviceaccount';
      await inNode(
        'mv /etc/kubernetes /etc/kubernetes.away; mv /var/lib/kubelet/pki/kubelet-client-current.pem /tmp/away.pem',
      );
      const error = await problemOf(request());
      assert.equal(error.reason, 'KubeletUnauthorized');
      assert.match(
        error.message,
        /there is no .*serviceaccount\/token; there is no .*apiserver-kubelet-client\.crt/,
      );
      const { stdout: token } = await cluster.kubectl(['create', 'token', 'default']);
      await inNode(`mkdir -p ${account}; echo '${token.trim()}' >${account}/token`);
      archiveOf(await agent.checkpointByKubelet(request()));
      await countsOn();
    },
  );
});

const image = 'busybox:1.35';
const counter = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'counter', namespace: 'default' },
  spec: {
    nodeName: 'k8s-worker',
    terminationGracePeriodSeconds: 1,
    containers: [
      {
        name: 'counter',
        image,
        command: [
          'sh',
          '-c',
          'COUNT=0; while true; do COUNT=$((COUNT + 1)); echo "Count=$COUNT"; sleep 0.1; done',
        ],
        volumeMounts: [{ name: 'data', mountPath: '/data' }],
      },
      { name: 'beside', image, command: ['sleep', '100000'] },
    ],
    volumes: [{ name: 'data', emptyDir: {} }],
  },
};
