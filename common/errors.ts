/**
 * The one table of errors. A reason is a CamelCase word that stands in conditions, gRPC details and tests; a message says
 * what happened to which object; a hint says what to do next.
 */
import { sentence } from './sentence.js';

/** gRPC status codes by number, so that common/ needs no gRPC library (https://grpc.io/docs/guides/status-codes/). */
const GRPC = {
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  UNAUTHENTICATED: 16,
} as const;

interface ErrorKind {
  /** Status code of a gRPC answer. */
  grpcStatus: number;
  /** The same request may succeed later without anybody changing anything. */
  retryable: boolean;
}

const refusal: ErrorKind = { grpcStatus: GRPC.FAILED_PRECONDITION, retryable: false };
const passing: ErrorKind = { grpcStatus: GRPC.UNAVAILABLE, retryable: true };
const failure: ErrorKind = { grpcStatus: GRPC.INTERNAL, retryable: false };

export const ERRORS = {
  // Wrong requests
  InvalidArgument: { grpcStatus: GRPC.INVALID_ARGUMENT, retryable: false },
  NotAuthorized: { grpcStatus: GRPC.PERMISSION_DENIED, retryable: false },
  /** A certificate that is not there yet, or has expired: it is renewed. */
  NoCertificate: passing,
  // What is not there
  PodNotFound: { grpcStatus: GRPC.NOT_FOUND, retryable: false },
  ContainerNotFound: { grpcStatus: GRPC.NOT_FOUND, retryable: false },
  NodeNotFound: { grpcStatus: GRPC.NOT_FOUND, retryable: false },
  CheckpointNotFound: { grpcStatus: GRPC.NOT_FOUND, retryable: false },
  ArchiveNotFound: { grpcStatus: GRPC.NOT_FOUND, retryable: false },
  // Refused before anything is frozen
  PodNotRunning: refusal,
  PodNotSupported: refusal,
  PodBusy: refusal,
  NameTaken: refusal,
  NodeNotReady: refusal,
  NodeTainted: refusal,
  NodesDiffer: refusal,
  AgentNotReachable: passing,
  AgentNotInstalled: refusal,
  CriuMissing: refusal,
  HandlerMissing: refusal,
  RuntimeNotSupported: refusal,
  IoUringInUse: refusal,
  TcpConnectionsOpen: refusal,
  NoSpace: { grpcStatus: GRPC.RESOURCE_EXHAUSTED, retryable: false },
  // A saved checkpoint that cannot be brought back
  CheckpointNotReady: refusal,
  CheckpointNotBound: refusal,
  NotRestorable: refusal,
  // While preparing
  TargetPodRejected: refusal,
  TargetPodChanged: refusal,
  TargetPodFailed: refusal,
  TargetNotReady: { grpcStatus: GRPC.DEADLINE_EXCEEDED, retryable: false },
  Unschedulable: refusal,
  // While frozen
  SourceChanged: refusal,
  FreezeFailed: failure,
  CriuDumpFailed: failure,
  CollectFailed: failure,
  TransferFailed: { grpcStatus: GRPC.UNAVAILABLE, retryable: true },
  ArtifactInvalid: failure,
  StageFailed: failure,
  CriuRestoreFailed: failure,
  Revoked: { grpcStatus: GRPC.ABORTED, retryable: false },
  AlreadyCommitted: refusal,
  TimedOut: { grpcStatus: GRPC.DEADLINE_EXCEEDED, retryable: false },
  Canceled: { grpcStatus: GRPC.ABORTED, retryable: false },
  // Archives of users' checkpoints
  EncryptionNotSetUp: refusal,
  /** The shared repository is not mounted, or does not answer. */
  RepositoryUnavailable: passing,
  /** It was made for another checkpoint than the one that was named. */
  ArchiveMismatch: refusal,
  // What a node's kubelet answers when it is asked for a checkpoint
  KubeletUnauthorized: refusal,
  KubeletForbidden: refusal,
  KubeletCheckpointDisabled: refusal,
  /** Its serving certificate is not what it should be, or cannot be verified. */
  KubeletUntrusted: refusal,
  KubeletUnreachable: passing,
  KubeletFailed: failure,
  /** Its processes ask for what the pod does not give them. */
  ArchiveNotAllowed: refusal,
  /** The pod's image is another than the one that a checkpoint belongs to. */
  ImageDiffers: refusal,
  // Around
  RuntimeUnavailable: passing,
  NotSupportedYet: refusal,
  /** Somebody else acts for the object: begin again from what stands on the API server. */
  Superseded: { grpcStatus: GRPC.ABORTED, retryable: true },
  /** Another replica of the controller acts. */
  NotLeader: { grpcStatus: GRPC.ABORTED, retryable: false },
  Internal: failure,
} as const satisfies Record<string, ErrorKind>;

export type Reason = keyof typeof ERRORS;

/** An error that a person can read and a program can act on. */
export class LpmError extends Error {
  override readonly name = 'LpmError';
  readonly retryable: boolean;
  readonly grpcStatus: number;
  /** What to do next; empty when there is nothing to say. */
  readonly hint: string;
  /** Last lines of a log that belong to the error. */
  readonly log: string;

  constructor(
    readonly reason: Reason,
    message: string,
    options: { hint?: string; log?: string; cause?: unknown } = {},
  ) {
    super(sentence(message), { cause: options.cause });
    this.retryable = ERRORS[reason].retryable;
    this.grpcStatus = ERRORS[reason].grpcStatus;
    this.hint = options.hint ?? '';
    this.log = options.log ?? '';
  }
}

/** True for a string that is a known reason, for what comes over the wire. */
export function isReason(value: string): value is Reason {
  return Object.hasOwn(ERRORS, value);
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
