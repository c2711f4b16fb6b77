/** Opens and closes the exports of finished checkpoints (transfer.ts decides). */
import { EXPORT_TICKET_ANNOTATION } from '../../common/api/names.js';
import { LpmError } from '../../common/errors.js';
import { TransferDirection } from '../../proto/gen/lpm/v1/agent.js';
import { toFailure } from '../agents/failure.js';
import type { Parts } from '../parts.js';
import type { Requeue } from '../queue.js';
import { CONDITION, REASON } from '../status/reasons.js';
import { readBound, type BoundCheckpoint } from './bound.js';
import { clientOf, kindOf, type Checkpoint } from './kinds.js';
import { withConditionOf } from './status.js';
import { agentPods, noAgentPod, transferStatus, withRepository, type Place } from './transfer-place.js';
import { decideExport, type ExportObserved } from './transfer.js';
import { updateCheckpoint } from './update-status.js';

/** What cannot be opened now is tried again after so long. */
const RETRY_MS = 5000;

export async function reconcileExport(parts: Parts, checkpoint: Checkpoint): Promise<Requeue> {
  const observed: ExportObserved = { now: parts.now(), checkpoint };
  let decision = decideExport(observed);
  if (decision.do === 'look') {
    decision = decideExport({ ...observed, state: await stateOf(parts, checkpoint) });
  }
  switch (decision.do) {
    case 'nothing':
      return {};
    case 'look':
      return { afterMs: RETRY_MS };
    case 'watch':
      return { afterMs: decision.afterMs };
    case 'open':
      return open(parts, checkpoint, decision.ticket, decision.expires);
    case 'close':
      await close(parts, checkpoint, decision.why);
      return {};
    default:
      return decision satisfies never;
  }
}

async function stateOf(parts: Parts, { metadata, status }: Checkpoint): Promise<ExportObserved['state']> {
  const place = agentPods(parts).find(({ agentPod }) => agentPod === status?.transfer?.agentPod);
  // Its pod is gone, and with it what was open.
  if (!place) return 'unknown';
  try {
    const { complete } = await agentAt(parts, place).getTransfer(metadata.uid!);
    return complete ? 'complete' : 'open';
  } catch (error) {
    if (error instanceof LpmError && error.reason === 'CheckpointNotFound') return 'unknown';
    throw error;
  }
}

async function open(parts: Parts, checkpoint: Checkpoint, ticket: string, expires: number): Promise<Requeue> {
  const { name, namespace = '', uid } = checkpoint.metadata;
  const { bound, refusal } = await readBound(parts.client, { kind: kindOf(checkpoint), name, namespace });
  if (!bound) return refuse(parts, checkpoint, refusal.reason, refusal.message);
  const place = await placeOf(parts, bound);
  if (typeof place === 'string') return refuse(parts, checkpoint, 'AgentNotReachable', place);
  try {
    await agentAt(parts, place).openTransfer({
      transferUid: uid!,
      direction: TransferDirection.TRANSFER_DIRECTION_EXPORT,
      ticketSha256: Buffer.from(ticket, 'hex'),
      validFor: seconds(expires - parts.now()),
      archives: bound.containers.map(({ spec }) => ({
        containerName: spec.containerName,
        uri: spec.artifactURI,
        sha256: Buffer.from(spec.sha256 ?? '', 'hex'),
        bytes: BigInt(spec.sizeBytes ?? 0),
        address: '',
        nodeName: '',
      })),
      pod: undefined,
      clusterUid: await parts.clusterUid(),
    });
  } catch (error) {
    const failure = toFailure(error);
    return refuse(parts, checkpoint, failure.reason, failure.message);
  }
  parts.transfers.opened(uid!, place.node, expires);
  await updateCheckpoint(parts.client, checkpoint, (status, object) => ({
    ...withConditionOf(status, object, parts.now(), {
      type: CONDITION.TransferOpen,
      status: 'True',
      reason: REASON.Open,
      message: `Pod ${place.agentPod} serves the archives to whoever has the ticket.`,
    }),
    transfer: transferStatus(parts, place, ticket, expires),
  }));
  parts.log.info(`The archives of checkpoint ${namespace}/${name} can be exported.`, {
    checkpoint: `${namespace}/${name}`,
    node: place.node,
  });
  return { afterMs: 1000 };
}

/** What lies in the repository any agent can read that sees it; the node that made it is asked first. */
async function placeOf(parts: Parts, { containers, nodeName }: BoundCheckpoint): Promise<Place | string> {
  const places = agentPods(parts);
  const own = places.find(({ node }) => node === nodeName);
  if (containers.some(({ spec }) => !spec.artifactURI.startsWith('shared://'))) {
    return own ?? noAgentPod(parts, `on node ${nodeName}, where the archives lie`);
  }
  const ordered = own ? [own, ...places.filter((place) => place !== own)] : places;
  if (ordered.length === 0) return noAgentPod(parts, 'anywhere');
  return (
    (await withRepository(parts, ordered)) ??
    'No agent sees the shared repository at the moment, where the archives lie.'
  );
}

async function refuse(
  parts: Parts,
  checkpoint: Checkpoint,
  reason: string,
  message: string,
): Promise<Requeue> {
  await updateCheckpoint(parts.client, checkpoint, (status, object) =>
    withConditionOf(status, object, parts.now(), {
      type: CONDITION.TransferOpen,
      status: 'False',
      reason,
      message,
    }),
  );
  return { afterMs: RETRY_MS };
}

const CLOSED = {
  Complete: 'Every archive was read to its end.',
  Expired: 'Its time was over before every archive was read.',
  Withdrawn: 'It is not asked for any more.',
  TicketInvalid: `The annotation ${EXPORT_TICKET_ANNOTATION} must hold a SHA-256 in hex.`,
};

/** First the annotation, so that nothing is opened again; a new ticket that was set meanwhile stays. */
async function close(parts: Parts, checkpoint: Checkpoint, why: keyof typeof CLOSED): Promise<void> {
  const { name, namespace, annotations, resourceVersion, uid } = checkpoint.metadata;
  if (annotations?.[EXPORT_TICKET_ANNOTATION] !== undefined) {
    await clientOf(parts.client, kindOf(checkpoint)).patch(name, namespace, {
      metadata: { uid, resourceVersion, annotations: { [EXPORT_TICKET_ANNOTATION]: null } },
    });
  }
  await updateCheckpoint(parts.client, checkpoint, (status, object) => {
    const { transfer: _, ...rest } = withConditionOf(status, object, parts.now(), {
      type: CONDITION.TransferOpen,
      status: 'False',
      reason: why,
      message: CLOSED[why],
    });
    return rest;
  });
  parts.transfers.closed(uid!);
}

export function agentAt(parts: Parts, { node }: Place) {
  return parts.agents.agent(node, parts.caches.nodes.get(node));
}

export function seconds(ms: number) {
  return { seconds: BigInt(Math.max(1, Math.ceil(ms / 1000))), nanos: 0 };
}
