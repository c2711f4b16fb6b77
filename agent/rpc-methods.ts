/** What every method of the gRPC service shares: who may call, what is logged, how an error goes over the wire. */
import type { handleServerStreamingCall, handleUnaryCall, sendUnaryData } from '@grpc/grpc-js';
import { LpmError } from '../common/errors.js';
import { faultPoint } from '../common/fault-point.js';
import type { Progress } from '../proto/gen/lpm/v1/agent.js';
import { authorize } from './auth.js';
import { leftSourceThawed } from './checkpoint.js';
import type { Context } from './context.js';
import type { Operation } from './operation.js';
import { toServiceError } from './rpc-errors.js';

export function rpcMethods({ log }: Context) {
  const unary =
    <Request, Response>(
      method: string,
      work: (request: Request, isCanceled: () => boolean) => Promise<Response>,
    ): handleUnaryCall<Request, Response> =>
    (call, callback: sendUnaryData<Response>) => {
      const answer = async (): Promise<Response> => {
        authorize(method, call.getAuthContext());
        FAULT: if (isChange(method)) await faultPoint(`agent.${method}.before`);
        const response = await work(call.request, () => call.cancelled);
        FAULT: if (isChange(method)) await faultPoint(`agent.${method}.after`);
        return response;
      };
      answer().then(
        (response) => callback(null, response),
        (error: unknown) => {
          note(method, error);
          callback(toServiceError(error));
        },
      );
    };

  /** A stream of progress and one result; the operation goes on when the caller goes away. */
  const watched =
    <Request, Result, Response>(
      method: 'checkpoint' | 'restore' | 'checkpointByKubelet',
      start: (request: Request) => Operation<Result>,
      wrap: (event: { $case: 'progress'; value: Progress } | { $case: 'result'; value: Result }) => Response,
    ): handleServerStreamingCall<Request, Response> =>
    (call) => {
      const follow = async (): Promise<void> => {
        authorize(method, call.getAuthContext());
        FAULT: if (method !== 'checkpointByKubelet') await faultPoint(`agent.${method}.before`);
        const operation = start(call.request);
        const stop = operation.watch((value) => call.write(wrap({ $case: 'progress', value })));
        call.once('cancelled', stop);
        try {
          const value = await operation.done;
          FAULT: if (method !== 'checkpointByKubelet') await faultPoint(`agent.${method}.after`);
          call.write(wrap({ $case: 'result', value }));
        } finally {
          stop();
        }
        call.end();
      };
      follow().catch((error: unknown) => {
        note(method, error);
        // Not destroy(): a destroyed stream sends no status (grpc-js server-call.ts ends the call on this event).
        call.emit('error', toServiceError(error, leftSourceThawed(error)));
      });
    };

  const note = (method: string, error: unknown): void => {
    const reason = error instanceof LpmError ? error.reason : 'Internal';
    const fields = {
      method,
      reason,
      error,
      ...(reason === 'Internal' && error instanceof Error ? { stack: error.stack } : {}),
    };
    log[reason === 'Internal' ? 'error' : 'info']('a call failed', fields);
  };

  return { unary, watched, note };
}

/** The unary calls that change something on the node. */
const CHANGES = ['commit', 'revoke', 'thaw', 'endSource', 'discard'] as const;
const isChange = (method: string): method is (typeof CHANGES)[number] =>
  (CHANGES as readonly string[]).includes(method);
