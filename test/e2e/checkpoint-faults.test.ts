/**
 * The checkpoint repository, and what may happen to a node in the middle of a checkpoint: it succeeds, or fails with the
 * reason, or succeeds at a retry; no half file has a final name, and the pod runs on.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { ContainerCheckpoint, ContainerCheckpointContent } from '../../common/api/schema.js';
import type { NodeHandle } from '../cluster/node/handle.js';
import { must } from '../cluster/run.js';
import { countProblem } from '../support/counts.js';
import { until } from '../support/until.js';
import { skippedUnlessLocal, startTestbed, type Testbed } from './testbed.js';

const repository = '/mnt/checkpoints';
const kubeletFolder = '/var/lib/kubelet/checkpoints';
/** Command of the guide's section 6, which it gives inside of the agents. */
const list = (/-- (ls -la \/mnt\/checkpoints\/)\n/.exec(
  readFileSync(join(import.meta.dirname, 'guide-section-6.md'), 'utf8'),
) ?? [])[1]!;

describe('the checkpoint repository and a node’s faults', { skip: skippedUnlessLocal }, () => {
  let it: Testbed;
  let worker: NodeHandle;
  before(async () => {
    it = await startTestbed();
    worker = it.local().node(it.source);
    await it.startCounter('counter', it.source);
    await it.apply(holder(it.source));
    await it.must('wait', '--for=condition=Ready', 'pod/holder', '--timeout=60s');
  });
  after(() => it?.end());

  const sh = async (node: NodeHandle, script: string): Promise<string> => {
    const { code, stdout, stderr } = await node.exec(['sh', '-c', script]);
    assert.equal(code, 0, `${node.name}: ${script}: ${stderr}`);
    return stdout;
  };
  /** Mounts a file system of 8 MB over a folder of a node, by a loop device of this machine; answers how it goes again. */
  const mountSmall = async (node: NodeHandle, folder: string): Promise<() => Promise<void>> => {
    const image = join(node.dir, 'small.img');
    await must('truncate', ['-s', '8M', image]);
    await must('mkfs.ext4', ['-q', '-F', image]);
    const loop = (await must('losetup', ['--find', '--show', image])).trim();
    try {
      const minor = /\d+$/.exec(loop)![0];
      await sh(
        node,
        `mknod /dev/small b 7 ${minor}; mkdir -p ${folder}; mount -t ext4 /dev/small ${folder}; rm /dev/small; rmdir ${folder}/lost+found`,
      );
    } finally {
      // While it is mounted this only says that it goes with the mount.
      await must('losetup', ['--detach', loop]);
    }
    return async () => void (await sh(node, `umount ${folder}`));
  };
  const get = async (name: string): Promise<ContainerCheckpoint> =>
    JSON.parse(await it.must('get', 'containercheckpoint', name, '-o', 'json')) as ContainerCheckpoint;
  const contentOf = async ({ status }: ContainerCheckpoint): Promise<ContainerCheckpointContent> =>
    JSON.parse(
      await it.must('get', 'containercheckpointcontent', status?.boundContentName ?? '', '-o', 'json'),
    ) as ContainerCheckpointContent;
  const begin = (name: string, spec: object): Promise<void> =>
    it.apply({ apiVersion: 'lpm.my.domain/v1', kind: 'ContainerCheckpoint', metadata: { name }, spec });
  const ended = (name: string): Promise<ContainerCheckpoint> =>
    until(
      `checkpoint ${name} ends`,
      async () => {
        const found = await get(name);
        return ['Succeeded', 'Failed'].includes(found.status?.phase ?? '') && found;
      },
      { timeoutMs: 180_000 },
    );
  /**
   * By the kubelet it is tried again when CRIU failed: the agent chooses a moment in which no process waits for one that it has
   * just started by vfork(2), which CRIU cannot dump (agent/vfork.ts); the kubelet's runtime takes any.
   */
  const make = async (
    name: string,
    spec: { podName: string; containerName: string; via?: string },
  ): Promise<ContainerCheckpoint> => {
    for (let tries = spec.via === 'Kubelet' ? 4 : 1; ; tries--) {
      await begin(name, spec);
      const checkpoint = await ended(name);
      if (tries === 1 || !/CRIU failed/.test(checkpoint.status?.message ?? '')) return checkpoint;
      await it.must('delete', 'containercheckpoint', name);
    }
  };
  const counter = { podName: 'counter', containerName: 'counter' };
  const big = { podName: 'holder', containerName: 'main' };

  const countsOn = async (): Promise<void> => {
    const seen = (await it.countsInFile('counter')).length;
    await until('the counter counts on', async () => (await it.countsInFile('counter')).length > seen + 3);
    assert.equal(countProblem(await it.countsInFile('counter')), undefined);
  };
  /** The file of a checkpoint is what its content says; answers its name. */
  const assertKept = async (checkpoint: ContainerCheckpoint): Promise<string> => {
    assert.equal(checkpoint.status?.phase, 'Succeeded', checkpoint.status?.message);
    const { spec } = await contentOf(checkpoint);
    const path = spec.artifactURI.replace(/^shared:\/\//, `${repository}/`).replace(/^file:\/\//, '');
    const bytes = readFileSync(worker.path(path));
    assert.equal(createHash('sha256').update(bytes).digest('hex'), spec.sha256);
    assert.equal(bytes.length, spec.sizeBytes);
    return spec.artifactURI;
  };
  /** Every archive is whole, and nothing else lies about. */
  const assertNoHalves = async (node: NodeHandle): Promise<void> => {
    const script = `for d in ${repository} ${kubeletFolder}; do find $d -maxdepth 1 -type f 2>/dev/null; done`;
    for (const file of (await sh(node, script)).split('\n').filter(Boolean)) {
      assert.match(file, /\.tar$/, 'no temporary file is left');
      await sh(node, `tar --force-local -tf '${file}' >/dev/null`);
    }
  };

  for (const via of ['Agent', 'Kubelet'] as const) {
    test(`section 6: both nodes see the archive in the shared repository (via ${via})`, async () => {
      const name = `shared-${via.toLowerCase()}`;
      const uri = await assertKept(await make(name, { ...counter, via }));
      const uid = await it.must('get', 'pod', 'counter', '-o', 'jsonpath={.metadata.uid}');
      assert.match(
        uri,
        new RegExp(`^shared://${uid}-counter-\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ\\.tar$`),
      );
      for (const node of it.local().nodes) {
        const said = await sh(node, list);
        const line = said.split('\n').find((each) => each.endsWith(uri.replace('shared://', '')));
        assert.match(line ?? said, /^-rw-------/, node.name);
      }
      await countsOn();
    });
  }

  test('an agent that is killed in the middle: the checkpoint is made all the same, or says why not', async () => {
    await begin('killed', big);
    await until('it runs', async () => (await get('killed')).status?.phase !== 'Pending');
    await it.local().agents.kill(it.source);
    const checkpoint = await ended('killed');
    if (checkpoint.status?.phase === 'Succeeded') await assertKept(checkpoint);
    else {
      assert.ok(checkpoint.status?.reason && checkpoint.status.message);
      await assertKept(await make('killed-again', big));
    }
    await assertNoHalves(worker);
    await it.must('exec', 'holder', '--', 'true');
    await countsOn();
  });

  for (const via of ['Agent', 'Kubelet'] as const) {
    test(`a disk that is full fails the checkpoint with the reason, and the next one works (via ${via})`, async () => {
      const name = `full-${via.toLowerCase()}`;
      const takeAway = await mountSmall(worker, kubeletFolder);
      const checkpoint = await make(name, { ...big, via });
      assert.equal(checkpoint.status?.phase, 'Failed');
      assert.equal(checkpoint.status.reason, 'NoSpace', checkpoint.status.message);
      assert.match(checkpoint.status.message ?? '', /node k8s-worker/);
      await assertNoHalves(worker);
      await takeAway();
      await it.must('exec', 'holder', '--', 'true');
      await assertKept(await make(`${name}-again`, { ...big, via }));
      await countsOn();
    });
  }

  test('shared storage that goes in the middle of a checkpoint leaves it whole, there or on the node', async () => {
    await begin('torn', big);
    await until('it runs', async () => (await get('torn')).status?.phase !== 'Pending');
    await sh(worker, `umount -l ${repository}`);
    const checkpoint = await ended('torn');
    if (checkpoint.status?.phase === 'Succeeded') {
      const { spec } = await contentOf(checkpoint);
      // Another node still has the repository.
      const holder_ = spec.artifactURI.startsWith('shared://') ? it.local().node(it.target) : worker;
      const path = spec.artifactURI.replace(/^shared:\/\//, `${repository}/`).replace(/^file:\/\//, '');
      const bytes = readFileSync(holder_.path(path));
      assert.equal(createHash('sha256').update(bytes).digest('hex'), spec.sha256);
    } else assert.ok(checkpoint.status?.reason);
    for (const node of it.local().nodes) await assertNoHalves(node);
    await countsOn();
  });

  for (const via of ['Agent', 'Kubelet'] as const) {
    test(`without the shared repository the archive stays on the node, which the status says (via ${via})`, async () => {
      const checkpoint = await make(`local-${via.toLowerCase()}`, { ...counter, via });
      const uri = await assertKept(checkpoint);
      assert.match(uri, new RegExp(`^file://${kubeletFolder}/checkpoint-counter_${it.namespace}-counter-`));
      const condition = checkpoint.status?.conditions?.find(({ type }) => type === 'RepositoryAvailable');
      assert.equal(condition?.status, 'False');
      assert.match(condition.message, /mnt\/checkpoints/);
      await countsOn();
    });
  }
});

/** 60 MB of memory, so that there is a middle of a checkpoint. */
const holder = (nodeName: string) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'holder' },
  spec: {
    nodeName,
    terminationGracePeriodSeconds: 1,
    containers: [
      {
        name: 'main',
        image: 'busybox:1.35',
        command: [
          'sh',
          '-c',
          "HELD=$(head -c 60000000 /dev/zero | tr '\\0' x); touch /tmp/held; while true; do sleep 1; done",
        ],
        readinessProbe: { exec: { command: ['cat', '/tmp/held'] }, periodSeconds: 1 },
      },
    ],
  },
});
