import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { LpmError } from '../common/errors.js';
import { faultPoint } from '../common/fault-point.js';
import { Claim, type AgentServiceServer } from '../proto/gen/lpm/v1/agent.js';
import { markThawed } from './artifacts.js';
import { archiveMethods } from './archives/methods.js';
import { authorize } from './auth.js';
import type { Checkpoints } from './checkpoint.js';
import { readClaim } from './claim.js';
import type { Context } from './context.js';
import { discardCheckpoint, discardStage } from './discard.js';
import { endSource } from './end-source.js';
import type { Ending } from './ending.js';
import { holdings } from './holdings.js';
import { inspectPod } from './inspect.js';
import { readLogs } from './kept-logs.js';
import { checkPod, checkUid } from './names.js';
import { nodeInfo } from './node-info.js';
import type { Restores } from './restore.js';
import { revoke } from './revoke.js';
import { toServiceError } from './rpc-errors.js';
import { rpcMethods } from './rpc-methods.js';
import { sourceState } from './source.js';
import { syncPath } from './state.js';
import { targetState } from './target.js';
import { thaw } from './thaw.js';
import type { ArchiveStore } from './transfer-port/store.js';
import type { Transfers } from './transfer-port/transfers.js';
import { sendArtifacts } from './transfer.js';

export interface ServiceParts {
  checkpoints: Checkpoints;
  restores: Restores;
  transfers: Transfers;
  store: ArchiveStore;
  ending: Ending;
}

/** The gRPC service: checks who calls, hands over to the parts, and turns errors into what gRPC carries. */
export function agentService(
  context: Context,
  { checkpoints, restores, transfers, store, ending }: ServiceParts,
): AgentServiceServer {
  const { state, keeper } = context;

  const { unary, watched, note } = rpcMethods(context);

  return {
    getNodeInfo: unary('getNodeInfo', () => nodeInfo(context)),

    inspectPod: unary('inspectPod', async ({ pod }) => ({
      containers: await inspectPod(context, checkPod(pod)),
    })),

    getPodState: unary('getPodState', async ({ podUid }) => {
      checkUid(podUid, 'pod UID');
      return {
        source: await sourceState(context, podUid, (uid) => checkpoints.isRunning(uid)),
        target: targetState(state, podUid),
        agentTime: new Date(),
        ending: ending.begun,
      };
    }),

    checkpoint: watched(
      'checkpoint',
      (request) => {
        keeper.gate.pass();
        return checkpoints.start(request);
      },
      (event) => ({ event }),
    ),

    pullArtifacts: (call) => {
      const send = async (): Promise<void> => {
        authorize('pullArtifacts', call.getAuthContext());
        FAULT: await faultPoint('agent.pullArtifacts.before');
        await sendArtifacts(context, checkUid(call.request.checkpointUid, 'checkpoint UID'), call);
        FAULT: await faultPoint('agent.pullArtifacts.after');
        call.end();
      };
      send().catch((error: unknown) => {
        note('pullArtifacts', error);
        call.emit('error', toServiceError(error));
      });
    },

    restore: watched(
      'restore',
      (request) => {
        keeper.gate.pass();
        return restores.start(request);
      },
      (event) => ({ event }),
    ),

    commit: unary('commit', async ({ podUid }) => {
      const folder = state.pod(checkUid(podUid, 'pod UID'));
      const { claim, by } = readClaim(folder);
      if (claim === Claim.CLAIM_REVOKED) {
        throw new LpmError('Revoked', `The restore of pod ${podUid} was taken back by ${by}.`);
      }
      // Without it there is no restore here, or it was never asked to hold, and goes on by itself.
      rmSync(join(folder, 'hold'), { force: true });
      if (claim === Claim.CLAIM_NONE) await existingPod(folder, podUid);
      return { claim };
    }),

    revoke: unary('revoke', async ({ podUid, restoreUid }) => {
      checkUid(podUid, 'pod UID');
      const { claim } = await revoke(context, podUid, checkUid(restoreUid, 'restore UID'));
      if (claim === Claim.CLAIM_REVOKED) await restores.cancelFor(podUid);
      return { claim };
    }),

    thaw: unary('thaw', async ({ pod, checkpointUid }) => {
      const checked = checkPod(pod);
      // First the mark: a request that arrives between the end of the checkpoint and the thawing finds it.
      markThawed(state, checkUid(checkpointUid, 'checkpoint UID'));
      await checkpoints.cancel(checkpointUid);
      return thaw(context, checked, checkpointUid);
    }),

    endSource: unary('endSource', async ({ pod }, isCanceled) => {
      const checked = checkPod(pod);
      return context.metrics.observe('end_source', async () => ({
        killedProcesses: await endSource(context, checked, isCanceled),
      }));
    }),

    discard: unary('discard', async ({ checkpointUid, podUid }) => {
      let bytes = 0;
      if (checkpointUid) bytes += await discardCheckpoint(context, checkpointUid);
      if (podUid) bytes += await discardStage(context, podUid);
      return { bytesFreed: BigInt(bytes) };
    }),

    readLogs: unary('readLogs', async ({ uid, podUid, maxBytes }) => ({
      logs: await readLogs(context, checkUid(uid, 'UID'), podUid && checkUid(podUid, 'pod UID'), maxBytes),
    })),

    listHoldings: unary('listHoldings', async () => ({
      agentTime: new Date(),
      ...(await holdings(context, (uid) => checkpoints.isRunning(uid))),
    })),

    ...archiveMethods(context, transfers, store),
  };
}

/** @throws PodNotFound when this node has never been asked to restore the pod */
async function existingPod(folder: string, podUid: string): Promise<void> {
  try {
    syncPath(folder);
  } catch (error) {
    throw new LpmError('PodNotFound', `No restore of pod ${podUid} is under way on this node.`, {
      cause: error,
    });
  }
}
