/** What an API server answers when it does not do as it was asked, and what keeps it from answering. */
import { messageOf } from '../errors.js';

/** meta/v1 Status. */
export interface KubeStatus {
  kind?: string;
  code?: number;
  reason?: string;
  message?: string;
  details?: {
    name?: string;
    kind?: string;
    causes?: { reason?: string; message?: string; field?: string }[];
  };
}

/** The API server answered with an error; `message` is its own sentence. */
export class ApiError extends Error {
  override readonly name = 'ApiError';

  constructor(
    /** HTTP status. */
    readonly code: number,
    /** Kubernetes' word for it (NotFound, AlreadyExists, Conflict, Invalid, Forbidden, Expired, …). */
    readonly reason: string,
    message: string,
    readonly status: KubeStatus = {},
  ) {
    super(message);
  }

  static fromResponse(code: number, body: string): ApiError {
    try {
      const status = JSON.parse(body) as KubeStatus;
      if (status.kind === 'Status') return ApiError.fromStatus(status, code);
    } catch {
      // Not JSON: a plain text body, e.g. "404 page not found".
    }
    return new ApiError(code, reasonOf(code), body.trim() || `HTTP status ${code}`);
  }

  static fromStatus(status: KubeStatus, code = status.code ?? 500): ApiError {
    return new ApiError(
      code,
      status.reason ?? reasonOf(code),
      status.message ?? `HTTP status ${code}`,
      status,
    );
  }

  get isNotFound(): boolean {
    return this.code === 404;
  }
  get isAlreadyExists(): boolean {
    return this.code === 409 && this.reason === 'AlreadyExists';
  }
  /** Changed since it was read, or a precondition (UID) did not hold. */
  get isConflict(): boolean {
    return this.code === 409 && this.reason !== 'AlreadyExists';
  }
  get isForbidden(): boolean {
    return this.code === 403;
  }
  /** The resource version is too old to watch from. */
  get isExpired(): boolean {
    return this.code === 410;
  }
  /** Worth asking again after a while. */
  get isTransient(): boolean {
    return this.code === 429 || this.code >= 500;
  }
}

/** No answer came. */
export class ApiUnreachable extends Error {
  override readonly name = 'ApiUnreachable';
  constructor(message: string, cause?: unknown) {
    super(message, { cause });
  }
}

const NETWORK: Record<string, string> = {
  ECONNREFUSED: 'the connection was refused',
  ENOTFOUND: 'its name cannot be resolved',
  EAI_AGAIN: 'its name cannot be resolved at the moment',
  ETIMEDOUT: 'the connection timed out',
  ECONNRESET: 'the connection was cut',
  EHOSTUNREACH: 'there is no route to it',
  ENETUNREACH: 'there is no network to it',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is self-signed',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is not signed by the configured CA',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate is not signed by the configured CA',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name',
};

/** Turns what the network layer throws into a sentence. */
export function unreachable(server: string, error: unknown): ApiUnreachable {
  const code = (error as NodeJS.ErrnoException | undefined)?.code ?? '';
  return new ApiUnreachable(
    `Cannot reach the cluster at ${server}: ${NETWORK[code] ?? messageOf(error)}.`,
    error,
  );
}

function reasonOf(code: number): string {
  switch (code) {
    case 401:
      return 'Unauthorized';
    case 403:
      return 'Forbidden';
    case 404:
      return 'NotFound';
    case 409:
      return 'Conflict';
    case 410:
      return 'Expired';
    case 429:
      return 'TooManyRequests';
    default:
      return code >= 500 ? 'InternalError' : 'BadRequest';
  }
}

/** The answer, or undefined when the API server says that there is no such object. */
export async function unlessNotFound<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof ApiError && error.isNotFound) return undefined;
    throw error;
  }
}
