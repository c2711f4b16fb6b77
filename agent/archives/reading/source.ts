import { LpmError } from '../../../common/errors.js';
import type { ArchiveSource } from '../../../proto/gen/lpm/v1/agent.js';
import { checkAddress, checkLabel, checkSubdomain } from '../../names.js';

/** An archive to read, as a request names it; checked. */
export interface CheckedSource {
  container: string;
  uri: string;
  sha256: Buffer;
  bytes: number;
  /** The agent that has it on its node; undefined for the repository and for this node's own. */
  remote: { address: string; nodeName: string } | undefined;
}

/** @throws InvalidArgument */
export function checkSource(source: ArchiveSource): CheckedSource {
  const container = checkLabel(source.containerName, 'container name');
  const bytes = Number(source.bytes);
  if (source.sha256.length !== 32) {
    throw new LpmError(
      'InvalidArgument',
      `The archive of container ${container} is named without its SHA-256.`,
    );
  }
  if (!Number.isSafeInteger(bytes) || bytes <= 0) {
    throw new LpmError('InvalidArgument', `The archive of container ${container} is named without its size.`);
  }
  return {
    container,
    uri: source.uri,
    sha256: Buffer.from(source.sha256),
    bytes,
    remote: source.address
      ? {
          address: checkAddress(source.address, "the address of an archive's agent"),
          nodeName: checkSubdomain(source.nodeName, 'node of an archive'),
        }
      : undefined,
  };
}
