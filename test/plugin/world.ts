/** A cluster for the plugins' tests: the local API server, with nodes, pods and a simulated controller. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PodMigration } from '../../common/api/schema.js';
import { KubeClient } from '../../common/kube/client.js';
import { loadKubeConfig } from '../../common/kube/config.js';
import { ListWatch } from '../../common/kube/list-watch.js';
import { startTestApiServer } from '../cluster/apiserver/testing.js';
import { until } from '../support/until.js';

export interface World {
  client: KubeClient;
  kubeconfig: string;
  close(): Promise<void>;
}

export async function startWorld(options: { crds?: boolean } = {}): Promise<World> {
  const server = await startTestApiServer(options);
  const client = new KubeClient(loadKubeConfig({ kubeconfig: server.kubeconfig }), {
    userAgent: 'plugin-test',
  });
  const home = await mkdtemp(join(tmpdir(), 'lpm-home-'));
  return {
    client,
    kubeconfig: server.kubeconfig,
    async close() {
      client.close();
      await server.close();
      await rm(home, { recursive: true });
    },
  };
}

/** Pods are refused until the cluster has furnished it. */
export async function addNamespace(client: KubeClient, name: string): Promise<void> {
  await client.namespaces.create({ metadata: { name } });
  const account = `/api/v1/namespaces/${name}/serviceaccounts/default`;
  await until(`namespace ${name} has its account`, () => client.json('GET', account));
}

export async function addNode(
  client: KubeClient,
  name: string,
  ready: 'True' | 'False' = 'True',
): Promise<void> {
  await client.nodes.create({ metadata: { name } });
  await client.nodes.patchStatus(name, undefined, {
    conditions: [
      { type: 'Ready', status: ready, reason: ready === 'True' ? 'KubeletReady' : 'KubeletNotReady' },
    ],
  });
}

export async function addPod(
  client: KubeClient,
  name: string,
  { namespace = 'default', node = 'k8s-worker', phase = 'Running' } = {},
): Promise<void> {
  const spec = { nodeName: node, containers: [{ name: 'app', image: 'busybox:1.35' }] };
  await client.pods.create({ metadata: { name, namespace }, spec }, namespace);
  const started = phase === 'Running' ? { running: {} } : { waiting: { reason: 'ContainerCreating' } };
  await client.pods.patchStatus(name, namespace, {
    phase,
    containerStatuses: [
      { name: 'app', image: 'busybox:1.35', imageID: '', ready: true, restartCount: 0, state: started },
    ],
  });
}

type Status = NonNullable<PodMigration['status']>;
/** What the simulated controller writes, and how long it waits afterwards. */
export type Play = { status: Partial<Status>; thenMs?: number }[];

const now = () => new Date().toISOString();

/** A migration that goes well, in about `ms` milliseconds. */
export function goodPlay(ms = 600): Play {
  const since = now();
  const part = ms / 12;
  const copying = (done: number) => ({
    status: { progress: { step: 'Dump', bytesDone: done * 1e6, bytesTotal: 90e6, since } },
    thenMs: part,
  });
  return [
    {
      status: {
        phase: 'Pending',
        message: 'Preparing the pod counter-restored (simulated).',
        sourceNode: 'k8s-worker',
        targetNode: 'k8s-master',
        restoredPodName: 'counter-restored',
        warnings: ['2 TCP connections will be closed (simulated).'],
      },
      thenMs: part * 3,
    },
    {
      status: { phase: 'CheckpointInProgress', message: 'Dumping (simulated).', frozenAt: 'now' },
      thenMs: part,
    },
    ...[10, 40, 70, 90].map(copying),
    { status: { phase: 'CheckpointCompleted' } },
    {
      status: {
        phase: 'MigrationInProgress',
        bytesTransferred: 90e6,
        progress: { step: 'Transfer', bytesDone: 45e6, bytesTotal: 90e6, since },
      },
      thenMs: part,
    },
    { status: { phase: 'RestoreInProgress', message: 'Restoring (simulated).' }, thenMs: part * 2 },
    {
      status: {
        phase: 'Succeeded',
        message: 'Migrated (simulated).',
        downtimeMilliseconds: 446,
        downtimeErrorMilliseconds: 2,
        totalMilliseconds: ms,
        steps: [
          { name: 'Freeze', milliseconds: 34 },
          { name: 'Dump', milliseconds: 180 },
          { name: 'Transfer', milliseconds: 2 },
          { name: 'Restore', milliseconds: 230 },
        ],
      },
    },
  ];
}

/** Stops in the middle of a dump, until `play` is told to go on. */
export function failingPlay(): Play {
  return [
    { status: { phase: 'Pending', sourceNode: 'k8s-worker', targetNode: 'k8s-master' }, thenMs: 50 },
    { status: { phase: 'CheckpointInProgress', frozenAt: 'now' }, thenMs: 50 },
    {
      status: {
        phase: 'Failed',
        reason: 'CriuDumpFailed',
        message: 'CRIU could not dump process 17 of container app on k8s-worker (simulated)',
        hint: 'Look at dump.log on k8s-worker',
      },
    },
  ];
}

/** Plays the controller for each PodMigration that appears: writes one status after another. */
export function simulateController(client: KubeClient, play: (migration: PodMigration) => Play): () => void {
  const begun = new Set<string>();
  const watching = new ListWatch<PodMigration>(client.podMigrations, {
    onChange: (_key, migration) => {
      if (!migration || begun.has(migration.metadata.name)) return;
      begun.add(migration.metadata.name);
      void perform(client, migration, play(migration));
    },
  }).start();
  return () => void watching.stop();
}

/** Plays the controller's answer to a person who cancels or decides a migration: once for each. */
export function simulateAnswers(client: KubeClient, answer: (migration: PodMigration) => Play): () => void {
  const answered = new Set<string>();
  const watching = new ListWatch<PodMigration>(client.podMigrations, {
    onChange: (_key, migration) => {
      if (!migration || answered.has(migration.metadata.name)) return;
      if (!migration.spec.cancel && !migration.spec.resolution) return;
      answered.add(migration.metadata.name);
      void perform(client, migration, answer(migration));
    },
  }).start();
  return () => void watching.stop();
}

async function perform(client: KubeClient, migration: PodMigration, play: Play): Promise<void> {
  const { name, namespace } = migration.metadata;
  const transitions = [...(migration.status?.phaseTransitions ?? [])];
  for (const { status, thenMs = 0 } of play) {
    if (status.phase) transitions.push({ phase: status.phase, transitionTime: now() });
    await client.podMigrations.patchStatus(name, namespace, {
      ...status,
      ...(status.frozenAt ? { frozenAt: now() } : {}),
      // A merge patch takes away what is null: a step lasts no longer than its phase.
      ...(status.progress ? {} : { progress: null }),
      phaseTransitions: transitions,
    });
    await new Promise((resolve) => setTimeout(resolve, thenMs));
  }
}
