/** Handlers of a gRPC service written as functions: of one answer, or of a stream of them. What they throw is answered as the contract wants it. */
import {
  Metadata,
  status,
  type sendUnaryData,
  type ServerUnaryCall,
  type ServerWritableStream,
} from '@grpc/grpc-js';
import { ERRORS, LpmError, type Reason } from '../../common/errors.js';
import { ErrorDetail } from '../../proto/gen/lpm/v1/agent.js';

/** An error as the contract wants it: a status code and an ErrorDetail in the trailer. */
function serviceError(error: unknown): { code: status; details: string; metadata: Metadata } {
  const metadata = new Metadata();
  if (!(error instanceof LpmError)) {
    // A connection that was cut.
    return { code: status.UNAVAILABLE, details: String(error), metadata };
  }
  const { reason, message, hint, log, retryable } = error;
  metadata.set(
    'lpm-error-bin',
    Buffer.from(ErrorDetail.encode({ reason, message, hint, log, retryable, sourceThawed: true }).finish()),
  );
  return { code: ERRORS[reason satisfies Reason].grpcStatus, details: message, metadata };
}

export function unary<Request, Response>(handle: (request: Request) => Response | Promise<Response>) {
  return (call: ServerUnaryCall<Request, Response>, done: sendUnaryData<Response>) => {
    void (async () => handle(call.request))().then(
      (response) => done(null, response),
      (error: unknown) => done(serviceError(error)),
    );
  };
}

export function stream<Response, Request = never>(
  handle: (request: Request, write: (response: Response) => void) => Promise<void>,
) {
  return (call: ServerWritableStream<Request, Response>) => {
    handle(call.request, (response) => call.write(response)).then(
      () => call.end(),
      (error: unknown) => call.emit('error', serviceError(error)),
    );
  };
}
