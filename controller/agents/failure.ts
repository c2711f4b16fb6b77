/** What an agent answers when it does not do as it was asked, and what keeps it from answering, as plain data. */
import { status, type ServiceError } from '@grpc/grpc-js';
import { ApiError, ApiUnreachable } from '../../common/kube/api-error.js';
import { ERRORS, isReason, LpmError, messageOf, type Reason } from '../../common/errors.js';
import { sentence } from '../../common/sentence.js';
import { ErrorDetail } from '../../proto/gen/lpm/v1/agent.js';

export interface Failure {
  reason: Reason;
  /** What happened to which object. */
  message: string;
  /** What to do next; may be empty. */
  hint: string;
  /** Last lines of a log that belong to it; may be empty. */
  log: string;
  /** The same call may succeed later without anybody changing anything. */
  retryable: boolean;
}

/** Name of the trailer that carries an ErrorDetail. */
export const ERROR_TRAILER = 'lpm-error-bin';

export function failureOf(reason: Reason, message: string, hint = ''): Failure {
  return { reason, message: sentence(message), hint, log: '', retryable: ERRORS[reason].retryable };
}

/** Turns anything that was thrown into a failure. */
export function toFailure(error: unknown): Failure {
  if (error instanceof LpmError) {
    const { reason, message, hint, log, retryable } = error;
    return { reason, message, hint, log, retryable };
  }
  if (error instanceof ApiUnreachable) return { ...failureOf('Internal', error.message), retryable: true };
  if (error instanceof ApiError) {
    return {
      ...failureOf('Internal', `The API server says: ${error.message}`),
      retryable: error.isTransient || error.isConflict,
    };
  }
  return failureOf('Internal', messageOf(error));
}

/** Turns the error of a call to the agent on a node into one that a person can read. */
export function fromServiceError(error: ServiceError, node: string, address: string): LpmError {
  const detail = error.metadata?.get(ERROR_TRAILER)[0];
  if (detail instanceof Buffer) {
    const { reason, message, hint, log, retryable } = ErrorDetail.decode(detail);
    if (isReason(reason)) return new LpmError(reason, message, { hint, log, cause: error });
    // A newer agent may have reasons of its own, and says of each whether it passes.
    const other = retryable ? 'AgentNotReachable' : 'Internal';
    return new LpmError(other, message || error.details, { hint, log, cause: error });
  }
  switch (error.code) {
    case status.UNAVAILABLE:
    case status.CANCELLED:
      return notReachable(node, address, networkWords(error.details), error);
    case status.DEADLINE_EXCEEDED:
      return notReachable(node, address, 'it did not answer in time', error);
    case status.UNAUTHENTICATED:
    case status.PERMISSION_DENIED:
      return new LpmError(
        'NotAuthorized',
        `The agent on node ${node} does not accept this controller: ${error.details}.`,
        {
          hint: 'Check that controller and agents have certificates of the same authority: kubectl migrate doctor',
          cause: error,
        },
      );
    case status.UNIMPLEMENTED:
      return new LpmError('AgentNotInstalled', `The agent on node ${node} is too old for this controller.`, {
        hint: 'Bring agents and controller to the same version.',
        cause: error,
      });
    default:
      return new LpmError('Internal', `The agent on node ${node} failed: ${error.details || error.message}`, {
        hint: `Look at the agent's log: kubectl logs -n live-pod-migration-controller-system -l app=checkpoint-agent --field-selector spec.nodeName=${node}`,
        cause: error,
      });
  }
}

function notReachable(node: string, address: string, why: string, cause: unknown): LpmError {
  return new LpmError(
    'AgentNotReachable',
    `The agent on node ${node} cannot be reached at ${address}: ${why}.`,
    {
      hint: `Check that an agent runs there (kubectl get pods -n live-pod-migration-controller-system -l app=checkpoint-agent -o wide) and that nothing blocks port ${address.slice(address.lastIndexOf(':') + 1)}.`,
      cause,
    },
  );
}

function networkWords(details: string): string {
  // By ourselves: nothing came for too long.
  if (/cancelled on client/i.test(details)) return 'it did not answer in time';
  if (details.includes('ECONNREFUSED')) return 'the connection was refused';
  if (/EHOSTUNREACH|ENETUNREACH/.test(details)) return 'there is no route to it';
  if (/ETIMEDOUT|ECONNRESET|Connection dropped|keepalive/i.test(details)) return 'the connection was lost';
  // An agent that has no certificate yet closes every connection.
  if (/before secure TLS connection/i.test(details))
    return 'it closes every connection, as an agent without a certificate does (see its /readyz)';
  if (/certificate|altnames|self.signed|SSL|TLS/i.test(details)) {
    return `its certificate was not accepted (${details})`;
  }
  return details;
}
