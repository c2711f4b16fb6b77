/** Plays the controller for checkpoints: children and contents as the guide has them, without a node. */
import type { ContainerCheckpoint, PodCheckpoint } from '../../common/api/schema.js';
import type { KubeClient } from '../../common/kube/client.js';
import { ListWatch } from '../../common/kube/list-watch.js';
import { resourceOf, type Checkpoint } from '../../plugin/checkpoint/kinds.js';

const SIZE = 1_258_291;
/** What an agent would have read from the archive, one name of it with an escape sequence. */
export const DESCRIPTION = {
  processes: [
    {
      pid: 1,
      parentPid: 0,
      command: 'sh',
      memoryBytes: '131072',
      threads: 1,
      files: [{ fd: 1, kind: 'pipe', name: 'pipe:[4711]' }],
    },
    { pid: 9, parentPid: 1, command: 'redis', memoryBytes: '204800000', threads: 4, files: [] },
    {
      pid: 7,
      parentPid: 1,
      command: 'tee',
      memoryBytes: '65536',
      threads: 1,
      files: [{ fd: 3, kind: 'regular', name: '/data/\u001b[2Jcounter.log' }],
    },
    { pid: 12, parentPid: 7, command: 'sleep', memoryBytes: '4096', threads: 1, files: [] },
  ],
  mounts: [{ destination: '/data', type: 'ext4', source: '/dev/vda1' }],
  runtime: 'runc 1.3.6',
  criuVersion: '4.2.1',
  hostname: 'counter',
  memoryBytes: '205000704',
  layerBytes: '4096',
  volumeBytes: '2048',
};

/** Each checkpoint succeeds, but those of pods named broken…; on nodes without a repository those of pods named local…. */
export function simulateCheckpoints(client: KubeClient): () => void {
  const begun = new Set<string>();
  const watches = (['PodCheckpoint', 'ContainerCheckpoint'] as const).map((kind) =>
    new ListWatch<Checkpoint>(resourceOf(client, kind), {
      onChange: (key, checkpoint) => {
        if (!checkpoint || checkpoint.spec.import || begun.has(kind + key)) return;
        if (checkpoint.metadata.ownerReferences) return;
        begun.add(kind + key);
        void save(client, { ...checkpoint, kind } as Checkpoint);
      },
    }).start(),
  );
  const contents = simulateDeletion(client);
  return () => {
    for (const watch of watches) void watch.stop();
    contents();
  };
}

/** Contents go after their checkpoint, unless they are to be kept. */
function simulateDeletion(client: KubeClient): () => void {
  const watch = new ListWatch<PodCheckpoint>(client.podCheckpoints, {
    onChange: (_key, now, old) => {
      const content = old?.status?.boundContentName;
      if (now || !content || old.spec.deletionPolicy === 'Retain') return;
      void client.podCheckpointContents.delete(content);
    },
  }).start();
  return () => void watch.stop();
}

async function save(client: KubeClient, checkpoint: Checkpoint): Promise<void> {
  const { name, namespace = 'default', uid = '' } = checkpoint.metadata;
  const { kind, spec } = checkpoint;
  const resource = resourceOf(client, kind);
  const transitions: { phase: string; transitionTime: string }[] = [];
  const enter = async (phase: string, status: Partial<NonNullable<Checkpoint['status']>> = {}) => {
    transitions.push({ phase, transitionTime: new Date().toISOString() });
    await resource.patchStatus(name, namespace, {
      phase,
      message: `${phase} (simulated).`,
      nodeName: 'k8s-worker',
      podUID: 'u',
      phaseTransitions: transitions,
      ...status,
    });
    await new Promise((resolve) => setTimeout(resolve, 50));
  };
  await enter('Pending');
  await enter('Running', { progress: { step: 'Dump', bytesDone: 600_000, bytesTotal: 1_200_000 } });
  if (spec.podName.startsWith('broken')) {
    return enter('Failed', {
      reason: 'CriuDumpFailed',
      message: 'CRIU could not dump process 17 (simulated)',
    });
  }
  const isLocal = spec.podName.startsWith('local');
  const file = 'u-app-20261123160000.tar';
  const common = {
    deletionPolicy: spec.deletionPolicy ?? ('Delete' as const),
    nodeName: 'k8s-worker',
    podName: spec.podName,
    podUID: 'u',
    sizeBytes: SIZE,
  };
  const part =
    kind === 'ContainerCheckpoint'
      ? { name, uid, containerName: spec.containerName }
      : { name: `${name}-app`, uid: 'c', containerName: 'app' };
  const partContent = `ccpc-${part.name}`;
  await client.containerCheckpointContents.create({
    metadata: { name: partContent },
    spec: {
      ...common,
      containerCheckpointRef: { namespace, name: part.name, uid: part.uid },
      artifactURI: isLocal ? `file:///var/lib/kubelet/checkpoints/${file}` : `shared://${file}`,
      containerName: part.containerName,
      image: 'busybox:1.35',
      sha256: 'a'.repeat(64),
      restorable: true,
      via: spec.via ?? 'Agent',
      ...(spec.via === 'Kubelet' ? { gaps: ['The contents of emptyDir volumes are not in it.'] } : {}),
      checkpointTime: new Date().toISOString(),
    },
  });
  await client.containerCheckpointContents.patchStatus(partContent, undefined, { description: DESCRIPTION });
  if (kind === 'PodCheckpoint') {
    await client.podCheckpointContents.create({
      metadata: { name: `pcpc-${name}` },
      spec: {
        ...common,
        podCheckpointRef: { namespace, name, uid },
        containerCheckpointContents: [partContent],
      },
    });
  }
  const shared = {
    type: 'RepositoryAvailable',
    status: isLocal ? ('False' as const) : ('True' as const),
    reason: isLocal ? 'Fallback' : 'Shared',
    message: isLocal
      ? 'The archive lies on its node only: /mnt/checkpoints is no mount point.'
      : 'The archive lies in the shared repository.',
    lastTransitionTime: new Date().toISOString(),
  };
  await enter('Succeeded', {
    boundContentName: kind === 'PodCheckpoint' ? `pcpc-${name}` : partContent,
    sizeBytes: SIZE,
    frozenMilliseconds: 312,
    completionTime: new Date().toISOString(),
    conditions: [shared],
    ...(kind === 'PodCheckpoint' ? { containerCheckpoints: [part.name] } : {}),
  } as Partial<NonNullable<Checkpoint['status']>>);
}

export type { ContainerCheckpoint };
