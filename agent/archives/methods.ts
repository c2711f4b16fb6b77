import type {
  AgentServiceServer,
  CheckpointByKubeletRequest,
  ListArchivesRequest,
  OpenTransferRequest,
  RemoveArchiveRequest,
} from '../../proto/gen/lpm/v1/agent.js';
import { authorize } from '../auth.js';
import type { Context } from '../context.js';
import { KubeletCheckpoints } from '../kubelet/checkpoint.js';
import { checkUid } from '../names.js';
import { toServiceError } from '../rpc-errors.js';
import { rpcMethods } from '../rpc-methods.js';
import type { ArchiveStore } from '../transfer-port/store.js';
import type { Transfers } from '../transfer-port/transfers.js';
import { listArchives } from './list.js';
import { removeArchive } from './remove.js';
import { sendArchive } from './send.js';

type ArchiveMethods = Pick<
  AgentServiceServer,
  'checkpointByKubelet' | 'listArchives' | 'removeArchive' | 'readArchive' | 'openTransfer' | 'getTransfer'
>;

/** The methods of the service that are about archives of users' checkpoints. */
export function archiveMethods(context: Context, transfers: Transfers, store: ArchiveStore): ArchiveMethods {
  const { unary, watched, note } = rpcMethods(context);
  const byKubelet = new KubeletCheckpoints(context);
  return {
    checkpointByKubelet: watched(
      'checkpointByKubelet',
      (request: CheckpointByKubeletRequest) => byKubelet.start(request),
      (event) => ({ event }),
    ),
    listArchives: unary('listArchives', ({ clusterUid }: ListArchivesRequest) =>
      listArchives(context, checkUid(clusterUid, 'cluster UID').toLowerCase()),
    ),
    removeArchive: unary('removeArchive', async ({ uri, checkpointUid }: RemoveArchiveRequest) => {
      const bytes = await removeArchive(context, uri, checkUid(checkpointUid, 'checkpoint UID'));
      context.log.info('removed an archive', { uri, checkpoint_uid: checkpointUid, bytes });
      return { bytesFreed: BigInt(bytes) };
    }),
    readArchive: (call) => {
      const send = async (): Promise<void> => {
        authorize('readArchive', call.getAuthContext());
        await sendArchive(context, call);
        call.end();
      };
      send().catch((error: unknown) => {
        note('readArchive', error);
        call.emit('error', toServiceError(error));
      });
    },
    openTransfer: unary('openTransfer', async (request: OpenTransferRequest) => {
      const transfer = transfers.open(request);
      const { uid, direction } = transfer;
      if (direction === 'import') {
        for (const kept of store.finished(uid) ?? []) {
          const part = transfer.parts.get(kept.containerName);
          if (part) Object.assign(part, { kept, complete: true, done: part.bytes });
        }
      }
      context.log.info('a transfer is open', { transfer: uid, direction });
      return {};
    }),
    getTransfer: unary('getTransfer', async ({ transferUid }) => transfers.state(transferUid)),
  };
}
