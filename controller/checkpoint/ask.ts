/** Asks the agent of the pod's node for a checkpoint, by itself or by the kubelet. Asked again, it finds or joins the work. */
import { ArchiveCompression, TcpMode } from '../../proto/gen/lpm/v1/agent.js';
import type {
  ArchiveOptions,
  CheckpointResult,
  ContainerIdentity,
  PodRef,
  Progress,
} from '../../proto/gen/lpm/v1/agent.js';
import type { Agent } from '../agents/agent.js';
import type { Parts } from '../parts.js';
import type { Checkpoint } from './kinds.js';
import { podJson, type PodTemplate } from './template.js';
import type { Turn } from './turn.js';

/** Progress is written to the API server: not more often than people can read. */
const PROGRESS_MS = 500;

export async function askAgent(
  parts: Parts,
  checkpoint: Checkpoint,
  turn: Turn,
  onProgress: (progress: Progress) => void,
): Promise<CheckpointResult> {
  return agentOf(parts, checkpoint).checkpoint(
    {
      checkpointUid: turn.uid,
      pod: podOf(checkpoint),
      containers: turn.members.map(identityOf),
      tcp: TcpMode.TCP_MODE_CLOSE,
      thawAfter: true,
      owner: undefined,
      dumpTimeout: timeoutOf(checkpoint),
      archive: await archiveOptions(parts, checkpoint),
    },
    atMostEvery(PROGRESS_MS, onProgress),
  );
}

export async function askKubelet(
  parts: Parts,
  checkpoint: Checkpoint,
  turn: Turn,
  onProgress: (progress: Progress) => void,
): Promise<CheckpointResult> {
  return agentOf(parts, checkpoint).checkpointByKubelet(
    {
      checkpointUid: turn.uid,
      pod: podOf(checkpoint),
      container: identityOf(turn.members[0]!),
      timeout: timeoutOf(checkpoint),
      archive: await archiveOptions(parts, checkpoint),
    },
    atMostEvery(PROGRESS_MS, onProgress),
  );
}

export function agentOf(parts: Parts, { status }: Checkpoint): Agent {
  const node = status!.nodeName!;
  return parts.agents.agent(node, parts.caches.nodes.get(node));
}

/** The pod as it was when the checkpoint began, and no namesake. */
export function podOf({ metadata, spec, status }: Checkpoint): PodRef {
  return { namespace: metadata.namespace!, name: spec.podName, uid: status!.podUID! };
}

/** As it was when the checkpoint began: a container that was restarted since has another ID, and the agent refuses it. */
function identityOf({ spec, status }: Turn['members'][number]): ContainerIdentity {
  return { name: spec.containerName, containerId: status?.containerID ?? '' };
}

function timeoutOf({ spec }: Checkpoint) {
  return { seconds: BigInt(spec.timeoutSeconds ?? 600), nanos: 0 };
}

async function archiveOptions(parts: Parts, checkpoint: Checkpoint): Promise<ArchiveOptions> {
  const { compression = 'None', encrypt = false } = checkpoint.spec;
  const template = checkpoint.status?.podTemplate as PodTemplate | undefined;
  return {
    clusterUid: await parts.clusterUid(),
    compression: COMPRESSIONS[compression],
    encrypt,
    podJson: template ? podJson(podOf(checkpoint), template) : '',
  };
}

const COMPRESSIONS = {
  None: ArchiveCompression.ARCHIVE_COMPRESSION_NONE,
  Gzip: ArchiveCompression.ARCHIVE_COMPRESSION_GZIP,
  Zstd: ArchiveCompression.ARCHIVE_COMPRESSION_ZSTD,
};

/** Lets the first of a step through, and of the others one in a while. */
function atMostEvery(ms: number, report: (progress: Progress) => void): (progress: Progress) => void {
  let last = 0;
  let step: Progress['step'] | undefined;
  return (progress) => {
    const now = performance.now();
    if (progress.step === step && now - last < ms) return;
    last = now;
    step = progress.step;
    report(progress);
  };
}
