/**
 * The transfers that the controller has opened on this node: who may read or write which archives, and how far they are.
 * They live in memory: after a restart of the agent nothing is open, and the controller opens them again.
 */
import { LpmError, messageOf } from '../../common/errors.js';
import {
  TransferDirection,
  type ArchiveSource,
  type ContainerArtifact,
  type GetTransferResponse,
  type OpenTransferRequest,
} from '../../proto/gen/lpm/v1/agent.js';
import { checkLabel, checkPod, checkUid, type CheckedPod } from '../names.js';

/** A transfer is open for a day at most. */
const LONGEST_MS = 86_400_000;
/** More containers than a pod has. */
const MOST_ARCHIVES = 64;

export interface Part {
  source: ArchiveSource;
  bytes: number;
  /** Bytes of the try that is on its way or was the last. */
  done: number;
  complete: boolean;
  /** Somebody reads or writes it at the moment. */
  busy: boolean;
  /** What an import was kept as. */
  kept?: ContainerArtifact;
}

export interface Transfer {
  uid: string;
  direction: 'export' | 'import';
  ticketSha256: Uint8Array;
  clusterUid: string;
  /** The pod that was checkpointed; for an import only. */
  pod?: CheckedPod;
  parts: Map<string, Part>;
  /** Milliseconds since the epoch. */
  expires: number;
  /** Why the last try ended early. */
  failure: string;
  /** Aborted when the transfer is over before its time: what is on its way is cut. */
  over: AbortController;
  timer: NodeJS.Timeout;
}

export class Transfers {
  readonly #open = new Map<string, Transfer>();

  /** @param onUnfinished told of an import that is over before everything came */
  constructor(private readonly onUnfinished: (uid: string) => void = () => {}) {}

  /** @throws InvalidArgument */
  open(request: OpenTransferRequest): Transfer {
    const asked = checked(request);
    const known = this.#open.get(asked.uid);
    if (known && isSame(known, asked)) {
      this.#arm(known, asked.validForMs);
      return known;
    }
    // Another ticket: the one before opens nothing any more.
    if (known) this.#forget(known);
    const { validForMs, ...rest } = asked;
    const transfer: Transfer = {
      ...rest,
      expires: 0,
      failure: '',
      over: new AbortController(),
      timer: setTimeout(() => {}, 0),
    };
    this.#arm(transfer, validForMs);
    this.#open.set(transfer.uid, transfer);
    return transfer;
  }

  find(uid: string): Transfer | undefined {
    const transfer = this.#open.get(uid.toLowerCase());
    return transfer && transfer.expires > Date.now() ? transfer : undefined;
  }

  /** @throws CheckpointNotFound when it is not open */
  state(uid: string): GetTransferResponse {
    const transfer = this.find(checkUid(uid, 'transfer UID'));
    if (!transfer) {
      throw new LpmError('CheckpointNotFound', `No transfer of checkpoint ${uid} is open on this node.`, {
        hint: 'Open it again: it has expired, or the agent was restarted.',
      });
    }
    const parts = [...transfer.parts.values()];
    const complete = parts.every((part) => part.complete);
    return {
      bytesDone: BigInt(parts.reduce((sum, { done }) => sum + done, 0)),
      complete,
      failure: complete ? '' : transfer.failure,
      archives: complete ? parts.flatMap(({ kept }) => kept ?? []) : [],
    };
  }

  /** Ends all of them, with the agent. */
  close(): void {
    for (const transfer of [...this.#open.values()]) this.#forget(transfer);
  }

  #arm(transfer: Transfer, validForMs: number): void {
    clearTimeout(transfer.timer);
    transfer.expires = Date.now() + validForMs;
    transfer.timer = setTimeout(() => this.#forget(transfer), validForMs);
    transfer.timer.unref();
  }

  #forget(transfer: Transfer): void {
    clearTimeout(transfer.timer);
    transfer.over.abort();
    const parts = [...transfer.parts.values()];
    if (transfer.direction === 'import' && parts.some(({ complete }) => !complete)) {
      this.onUnfinished(transfer.uid);
    }
    if (this.#open.get(transfer.uid) === transfer) this.#open.delete(transfer.uid);
  }
}

/** Marks a part as being read or written while `work` lasts, and keeps why it ended early. */
export async function occupied<T>(transfer: Transfer, part: Part, work: () => Promise<T>): Promise<T> {
  part.busy = true;
  part.done = 0;
  try {
    const result = await work();
    part.complete = true;
    return result;
  } catch (error) {
    transfer.failure = `${part.source.containerName}: ${cutOff(error) ?? messageOf(error)}`;
    throw error;
  } finally {
    part.busy = false;
  }
}

/** The stream's own words for a connection that ended say nothing to a person. */
function cutOff(error: unknown): string | undefined {
  const { code, name } = error as NodeJS.ErrnoException;
  if (name === 'AbortError') return 'the transfer was closed while it was under way.';
  return code === 'ERR_STREAM_PREMATURE_CLOSE' || code === 'ECONNRESET' || code === 'EPIPE'
    ? 'the connection was cut.'
    : undefined;
}

function checked(request: OpenTransferRequest) {
  const { direction, ticketSha256, validFor, archives, clusterUid } = request;
  const uid = checkUid(request.transferUid, 'transfer UID').toLowerCase();
  const wrong = (what: string) => new LpmError('InvalidArgument', `Transfer ${uid}: ${what}.`);
  const isImport = direction === TransferDirection.TRANSFER_DIRECTION_IMPORT;
  if (!isImport && direction !== TransferDirection.TRANSFER_DIRECTION_EXPORT)
    throw wrong('its direction is not said');
  if (ticketSha256.length !== 32) throw wrong('the hash of its ticket is not a SHA-256');
  // SHA-256 of nothing that anybody has, but comparing with it must stay what it is for.
  if (ticketSha256.every((byte) => byte === 0)) throw wrong('the hash of its ticket is empty');
  const validForMs = Number(validFor?.seconds ?? 0n) * 1000 + (validFor?.nanos ?? 0) / 1e6;
  if (!(validForMs > 0 && validForMs <= LONGEST_MS)) throw wrong('it must be open for up to a day');
  if (archives.length === 0 || archives.length > MOST_ARCHIVES)
    throw wrong(`it has ${archives.length} archives`);
  const parts = new Map<string, Part>();
  for (const source of archives) {
    const name = checkLabel(source.containerName, 'container name');
    if (parts.has(name)) throw wrong(`container ${name} is named twice`);
    if (source.sha256.length !== 32) throw wrong(`the archive of container ${name} has no SHA-256`);
    const bytes = Number(source.bytes);
    if (!Number.isSafeInteger(bytes) || bytes <= 0)
      throw wrong(`the archive of container ${name} has no size`);
    if (!isImport && source.uri === '')
      throw wrong(`where the archive of container ${name} lies is not said`);
    parts.set(name, { source, bytes, done: 0, complete: false, busy: false });
  }
  return {
    uid,
    direction: isImport ? ('import' as const) : ('export' as const),
    ticketSha256: Buffer.from(ticketSha256),
    clusterUid,
    ...(isImport ? { pod: checkPod(request.pod) } : {}),
    parts,
    validForMs,
  };
}

/** The same transfer, asked for once more. */
function isSame(known: Transfer, asked: ReturnType<typeof checked>): boolean {
  return (
    known.direction === asked.direction &&
    Buffer.from(known.ticketSha256).equals(asked.ticketSha256) &&
    known.parts.size === asked.parts.size &&
    [...asked.parts].every(([name, { source }]) => {
      const before = known.parts.get(name)?.source;
      return (
        before?.uri === source.uri &&
        Buffer.from(before.sha256).equals(source.sha256) &&
        before.bytes === source.bytes
      );
    })
  );
}
