/** Many checkpoints of a pod of which five are kept: five remain, everywhere, and the others are told as events. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import type { ContainerCheckpoint, ContainerCheckpointContent } from '../../common/api/schema.js';
import type { NodeHandle } from '../cluster/node/handle.js';
import { until } from '../support/until.js';
import { skippedUnlessLocal, startTestbed, type Testbed } from './testbed.js';

/** LPM_TEST_CHECKPOINTS=50 makes as many as a person would in two months of nights. */
const made = Number(process.env.LPM_TEST_CHECKPOINTS ?? 8);
const kept = 5;

describe('retention', { skip: skippedUnlessLocal }, () => {
  let it: Testbed;
  let worker: NodeHandle;
  before(async () => {
    it = await startTestbed({ controllerFlags: [`--retain-per-pod=${kept}`] });
    worker = it.local().node(it.source);
    await it.apply(sleeper(it.source));
    await it.must('wait', '--for=condition=Ready', 'pod/sleeper', '--timeout=60s');
  });
  after(() => it?.end());

  const list = async <T>(kind: string): Promise<T[]> =>
    (JSON.parse(await it.must('get', kind, '-o', 'json')) as { items: T[] }).items;
  const names = (folder: string): string[] => {
    try {
      return readdirSync(worker.path(folder)).sort();
    } catch {
      return [];
    }
  };

  test(`of ${made} checkpoints, by the agent and by the kubelet, the newest ${kept} remain in the API, on the node and in the repository`, async () => {
    const kube = it.local().client();
    const path = `/apis/lpm.my.domain/v1/namespaces/${it.namespace}/containercheckpoints`;
    const wanted = Array.from({ length: made }, (_, index) => `number-${index + 1}`);
    try {
      for (const [index, name] of wanted.entries()) {
        const via = index % 5 === 0 ? 'Kubelet' : 'Agent';
        await kube.json('POST', path, {
          body: {
            apiVersion: 'lpm.my.domain/v1',
            kind: 'ContainerCheckpoint',
            metadata: { name },
            spec: { podName: 'sleeper', containerName: 'main', via },
          },
        });
        await until(
          `${name} is made`,
          async () => {
            const { status } = await kube.json<ContainerCheckpoint>('GET', `${path}/${name}`);
            assert.notEqual(status?.phase, 'Failed', status?.message);
            return status?.phase === 'Succeeded';
          },
          { timeoutMs: 60_000 },
        );
      }
    } finally {
      kube.close();
    }

    const last = wanted.slice(-kept).sort();
    await until(
      'only the newest checkpoints are left',
      async () => (await list('containercheckpoints')).length === kept,
      { timeoutMs: 60_000 },
    );
    const checkpoints = await list<ContainerCheckpoint>('containercheckpoints');
    assert.deepEqual(checkpoints.map(({ metadata }) => metadata.name).sort(), last);
    const contents = await until(
      'their contents, and no others',
      async () => {
        const found = await list<ContainerCheckpointContent>('containercheckpointcontents');
        return found.length === kept && found;
      },
      { timeoutMs: 60_000 },
    );
    assert.deepEqual(contents.map(({ spec }) => spec.containerCheckpointRef.name).sort(), last);

    const files = contents.map(({ spec }) => spec.artifactURI.replace('shared://', '')).sort();
    assert.deepEqual(
      names('/mnt/checkpoints').filter((name) => !name.startsWith('.')),
      files,
    );
    assert.deepEqual(
      names('/mnt/checkpoints/.lpm').filter((name) => name.endsWith('.json')),
      files.map((file) => `${file}.json`),
    );
    const onNode = names('/var/lib/kubelet/checkpoints');
    assert.equal(onNode.length, kept, onNode.join(' '));
    const records = names('/var/lib/lpm/archives')
      .map((name) => JSON.parse(readFileSync(worker.path(`/var/lib/lpm/archives/${name}`), 'utf8')) as object)
      .filter((record) => !('removedAt' in record));
    assert.equal(records.length, kept);
    assert.deepEqual(names('/var/lib/lpm/kubelet'), []);

    const events = await list<{ reason: string; involvedObject: { kind: string; name: string } }>('events');
    const told = events.filter(
      ({ reason, involvedObject }) => reason === 'Retention' && involvedObject.kind === 'ContainerCheckpoint',
    );
    assert.deepEqual(
      new Set(told.map(({ involvedObject }) => involvedObject.name)),
      new Set(wanted.slice(0, -kept)),
    );
    assert.match(await it.must('get', 'pod', 'sleeper'), /1\/1 +Running +0 /);
  });
});

const sleeper = (nodeName: string) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'sleeper' },
  spec: {
    nodeName,
    terminationGracePeriodSeconds: 1,
    containers: [
      {
        name: 'main',
        image: 'busybox:1.35',
        // A dump interrupts the call that it sleeps in: sleep(1) ends then, and the next one begins.
        command: ['sh', '-c', 'while true; do sleep 5; done'],
      },
    ],
  },
});
