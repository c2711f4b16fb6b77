import { Metadata, status, type ServiceError } from '@grpc/grpc-js';
import { isReason, LpmError, messageOf } from '../common/errors.js';
import { ErrorDetail } from '../proto/gen/lpm/v1/agent.js';

const TRAILER = 'lpm-error-bin';
const MAX_LOG_BYTES = 8192;

/** Any error as gRPC carries it: a status, and an ErrorDetail in the trailer. */
export function toServiceError(error: unknown, sourceThawed = false): Partial<ServiceError> {
  const cause =
    error instanceof LpmError ? error : new LpmError('Internal', messageOf(error), { cause: error });
  const detail: ErrorDetail = {
    reason: cause.reason,
    message: cause.message,
    hint: cause.hint,
    retryable: cause.retryable,
    sourceThawed,
    log: cause.log.slice(-MAX_LOG_BYTES),
  };
  const metadata = new Metadata();
  metadata.set(TRAILER, Buffer.from(ErrorDetail.encode(detail).finish()));
  return { code: cause.grpcStatus, details: cause.message, metadata };
}

/** An error that another agent answered. */
export function fromServiceError(error: ServiceError, peer: string): LpmError {
  const [raw] = error.metadata?.get(TRAILER) ?? [];
  if (raw instanceof Buffer) {
    const detail = ErrorDetail.decode(raw);
    if (isReason(detail.reason)) {
      return new LpmError(detail.reason, `${peer}: ${detail.message}`, {
        hint: detail.hint,
        log: detail.log,
        cause: error,
      });
    }
  }
  const reason = error.code === status.CANCELLED ? 'Canceled' : 'TransferFailed';
  return new LpmError(reason, `${peer}: ${error.details || error.message}`, { cause: error });
}
