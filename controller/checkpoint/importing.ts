/** Takes in archives that were exported elsewhere: they are uploaded through the transfer port of an agent's pod. */
import { pause } from '../../common/kube/backoff.js';
import { LpmError } from '../../common/errors.js';
import { TransferDirection, type CheckpointResult } from '../../proto/gen/lpm/v1/agent.js';
import type { Parts } from '../parts.js';
import { deadline, type ImportFacts } from './decide.js';
import { agentAt, seconds } from './exporter.js';
import { podOf } from './ask.js';
import { kindOf, type Checkpoint } from './kinds.js';
import { agentPods, noAgentPod, transferStatus, withRepository } from './transfer-place.js';
import type { Turn } from './turn.js';
import { updateCheckpoint } from './update-status.js';

const LOOK_MS = 1000;

/** Where the archives can be taken in: best where they end up in the shared repository. */
export async function importFacts(parts: Parts): Promise<ImportFacts> {
  const places = agentPods(parts);
  const [first] = places;
  if (!first) return { problem: noAgentPod(parts, 'anywhere') };
  return { place: (await withRepository(parts, places)) ?? first, problem: '' };
}

/** Opens the transfer and waits until everything is uploaded; a restarted agent is asked anew. Ends with the checkpoint's time. */
export async function takeIn(parts: Parts, checkpoint: Checkpoint, { uid }: Turn): Promise<CheckpointResult> {
  const { ticketSHA256, archives } = checkpoint.spec.import!;
  const { nodeName = '' } = checkpoint.status!;
  const expires = deadline(checkpoint);
  for (;;) {
    const place = agentPods(parts).find(({ node }) => node === nodeName);
    if (!place) throw new LpmError('AgentNotReachable', noAgentPod(parts, `on node ${nodeName}`));
    const agent = agentAt(parts, place);
    await agent.openTransfer({
      transferUid: uid,
      direction: TransferDirection.TRANSFER_DIRECTION_IMPORT,
      ticketSha256: Buffer.from(ticketSHA256, 'hex'),
      validFor: seconds(expires - parts.now()),
      archives: archives.map(({ containerName, sha256, sizeBytes }) => ({
        containerName,
        uri: '',
        sha256: Buffer.from(sha256, 'hex'),
        bytes: BigInt(sizeBytes),
        address: '',
        nodeName: '',
      })),
      pod: podOf(checkpoint),
      clusterUid: await parts.clusterUid(),
    });
    const transfer = transferStatus(parts, place, ticketSHA256, expires);
    const live = await updateCheckpoint(parts.client, checkpoint, (status) =>
      status.phase === 'Running' ? { ...status, transfer } : status,
    );
    if (live?.status?.phase !== 'Running')
      throw new LpmError('Canceled', 'The import is not wanted any more.');
    for (;;) {
      if (isGone(parts, checkpoint)) throw new LpmError('Canceled', 'The import is not wanted any more.');
      if (parts.now() >= expires) throw new LpmError('TimedOut', 'The archives were not uploaded in time.');
      try {
        const { complete, archives: containers } = await agent.getTransfer(uid);
        if (complete) {
          return {
            frozenAt: undefined,
            completedAt: undefined,
            frozenFor: undefined,
            steps: [],
            containers,
            totalBytes: containers.reduce((sum, { bytes }) => sum + bytes, 0n),
          };
        }
      } catch (error) {
        // NOT_FOUND: the agent was restarted since.
        if (error instanceof LpmError && error.reason === 'CheckpointNotFound') break;
        throw error;
      }
      await pause(LOOK_MS);
    }
  }
}

function isGone({ caches }: Parts, checkpoint: Checkpoint): boolean {
  const { namespace, name, uid } = checkpoint.metadata;
  const cache = kindOf(checkpoint) === 'PodCheckpoint' ? caches.podCheckpoints : caches.containerCheckpoints;
  return cache.get(`${namespace}/${name}`)?.metadata.uid !== uid;
}
