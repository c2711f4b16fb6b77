import { LpmError } from '../../common/errors.js';
import type { Context } from '../context.js';
import type { ArchiveStore } from '../transfer-port/store.js';

/** The archives of this node for the transfer port. */
export function archiveStore(_: Context): ArchiveStore {
  const notYet = async (): Promise<never> => {
    throw new LpmError('NotSupportedYet', 'This agent does not read and keep archives yet.');
  };
  return { read: notYet, manifest: notYet, placeFor: notYet, keep: notYet };
}
