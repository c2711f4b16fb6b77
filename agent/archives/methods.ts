import { LpmError } from '../../common/errors.js';
import type {
  AgentServiceServer,
  CheckpointByKubeletRequest,
  OpenTransferRequest,
} from '../../proto/gen/lpm/v1/agent.js';
import type { Context } from '../context.js';
import { KubeletCheckpoints } from '../kubelet/checkpoint.js';
import { toServiceError } from '../rpc-errors.js';
import { rpcMethods } from '../rpc-methods.js';
import type { Transfers } from '../transfer-port/transfers.js';

type ArchiveMethods = Pick<
  AgentServiceServer,
  'checkpointByKubelet' | 'listArchives' | 'removeArchive' | 'readArchive' | 'openTransfer' | 'getTransfer'
>;

/** The methods of the service that are about archives of users' checkpoints. */
export function archiveMethods(context: Context, transfers: Transfers): ArchiveMethods {
  const { unary, watched } = rpcMethods(context);
  const byKubelet = new KubeletCheckpoints(context);
  const notYet = (method: string) => (): never => {
    throw new LpmError('NotSupportedYet', `This agent does not know ${method} yet.`);
  };
  return {
    checkpointByKubelet: watched(
      'checkpointByKubelet',
      (request: CheckpointByKubeletRequest) => byKubelet.start(request),
      (event) => ({ event }),
    ),
    listArchives: unary('listArchives', notYet('ListArchives')),
    removeArchive: unary('removeArchive', notYet('RemoveArchive')),
    readArchive: (call) =>
      void call.emit('error', toServiceError(new LpmError('NotSupportedYet', 'No archives are read here.'))),
    openTransfer: unary('openTransfer', async (request: OpenTransferRequest) => {
      const { uid, direction } = transfers.open(request);
      context.log.info('a transfer is open', { transfer: uid, direction });
      return {};
    }),
    getTransfer: unary('getTransfer', async ({ transferUid }) => transfers.state(transferUid)),
  };
}
