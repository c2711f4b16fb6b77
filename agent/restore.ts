import { mkdirSync, watch, writeFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { ChannelCredentials } from '@grpc/grpc-js';
import { LpmError } from '../common/errors.js';
import { faultPoint } from '../common/fault-point.js';
import { Claim, Step, type RestoreRequest, type RestoreResult } from '../proto/gen/lpm/v1/agent.js';
import { checkFits } from './archives/reading/fits.js';
import { fetchArchives } from './archives/reading/fetch.js';
import { checkSource, type CheckedSource } from './archives/reading/source.js';
import { readClaim } from './claim.js';
import type { Context } from './context.js';
import { explainCriuLog, logTail } from './criu-messages.js';
import { checkAddress, checkLabel, checkPod, checkSubdomain, checkUid, type CheckedPod } from './names.js';
import { Operation, Steps } from './operation.js';
import { readRestoreRecord, writeRestoreRecord, type RestoreRecord } from './restore-record.js';
import { fetchArtifacts, fillVolumes, markReady, stageArtifacts } from './stage.js';
import { syncPath, writeDurably } from './state.js';
import { nextStep, observeContainer, type TargetContainer } from './target.js';
import type { Source } from './transfer.js';

/** A restore that nobody revokes is watched for this long; the handler's own waiting ends much earlier. */
const LIMIT_MS = 15 * 60_000;
/** How often the handler's marks are looked at when no notification comes. */
const POLL_MS = 10;

interface CheckedRestore {
  restoreUid: string;
  pod: CheckedPod;
  /** Empty for a restore from archives. */
  checkpointUid: string;
  source: Source | undefined;
  /** One for each container; none for a migration. */
  archives: CheckedSource[];
  containerNames: string[];
  hold: boolean;
}

/** Restores on this node: in progress, by target pod. */
export class Restores {
  private readonly running = new Map<string, { restoreUid: string; operation: Operation<RestoreResult> }>();

  constructor(
    private readonly context: Context,
    private readonly tls: () => ChannelCredentials,
  ) {}

  get inProgress(): number {
    return this.running.size;
  }

  start(request: RestoreRequest): Operation<RestoreResult> {
    const checked = check(request);
    const known = this.running.get(checked.pod.uid);
    if (known?.restoreUid === checked.restoreUid) return known.operation;
    if (known) {
      throw new LpmError(
        'PodBusy',
        `Pod ${checked.pod.name} is being restored for migration ${known.restoreUid}.`,
      );
    }
    const operation = new Operation<RestoreResult>((self) =>
      this.context.metrics
        .observe('restore', () => restore(this.context, this.tls, checked, self))
        .finally(() => this.running.delete(checked.pod.uid)),
    );
    this.running.set(checked.pod.uid, { restoreUid: checked.restoreUid, operation });
    return operation;
  }

  /** Ends the operation of a pod whose claim was revoked. */
  async cancelFor(podUid: string): Promise<void> {
    const operation = this.running.get(podUid)?.operation;
    operation?.cancel();
    await operation?.done.catch(() => {});
  }
}

function check(request: RestoreRequest): CheckedRestore {
  const containerNames = request.containerNames.map((name) => checkLabel(name, 'container name'));
  if (containerNames.length === 0) throw new LpmError('InvalidArgument', 'The request names no container.');
  if (containerNames.length > 1) {
    // The kubelet creates the second container only after the first one's start has returned, so they cannot all be held
    // at CRIU's post-restore until the commit.
    throw new LpmError('NotSupportedYet', 'Pods of several containers cannot be restored yet.', {
      hint: 'Migrate pods of one container.',
    });
  }
  return {
    restoreUid: checkUid(request.restoreUid, 'restore UID'),
    pod: checkPod(request.pod),
    ...(request.archives.length > 0 ? fromArchives(request, containerNames) : fromCheckpoint(request)),
    containerNames,
    hold: request.hold,
  };
}

type Origin = Pick<CheckedRestore, 'checkpointUid' | 'source' | 'archives'>;

function fromCheckpoint(request: RestoreRequest): Origin {
  const checkpointUid = checkUid(request.checkpointUid, 'checkpoint UID');
  const source = request.sourceAddress
    ? {
        checkpointUid,
        address: checkAddress(request.sourceAddress, 'source_address'),
        nodeName: checkSubdomain(request.sourceNodeName, 'source node'),
      }
    : undefined;
  return { checkpointUid, source, archives: [] };
}

function fromArchives(request: RestoreRequest, containerNames: readonly string[]): Origin {
  if (request.checkpointUid || request.sourceAddress) {
    throw new LpmError('InvalidArgument', 'The request names both a checkpoint of a node and archives.');
  }
  const archives = request.archives.map(checkSource);
  const named = archives.map(({ container }) => container).sort();
  if (named.join() !== [...containerNames].sort().join()) {
    throw new LpmError(
      'InvalidArgument',
      `The request names archives of ${named.join(', ')} for the containers ${containerNames.join(', ')}.`,
    );
  }
  return { checkpointUid: '', source: undefined, archives };
}

async function restore(
  context: Context,
  tls: () => ChannelCredentials,
  request: CheckedRestore,
  operation: Operation<RestoreResult>,
): Promise<RestoreResult> {
  const { state } = context;
  const { pod, restoreUid } = request;
  const log = context.log.with({ restore_uid: restoreUid, pod_uid: pod.uid });
  const podDir = state.pod(pod.uid);
  const steps = new Steps();
  const name = request.containerNames[0]!;
  mkdirSync(podDir, { recursive: true, mode: 0o700 });
  const record = begin(podDir, request, observeContainer(state, pod.uid, name));
  const noteChange = watchFolder(state.container(pod.uid, name));
  try {
    if (!record.staged && readClaim(podDir).claim === Claim.CLAIM_NONE) {
      await arrive(context, tls, request, operation, steps, record);
      FAULT: await faultPoint('agent.restore.staged');
      log.info('staged', { bytes: record.bytes });
    }
    let readyAt: number | undefined;
    const end = performance.now() + LIMIT_MS;
    for (;;) {
      const { claim, by } = readClaim(podDir);
      const container = observeContainer(state, pod.uid, name);
      const step = nextStep(claim, container);
      switch (step) {
        case 'revoked':
          throw revokedBy(pod, by);
        case 'failed':
        case 'lost':
          throw failureOf(pod, container);
        case 'prepare': {
          const handler = container.handler!;
          operation.report(Step.STEP_STAGE, name);
          await steps.time(Step.STEP_STAGE, async () => {
            if (request.archives.length > 0) await checkFits(context, pod.uid, name, handler);
            if (!container.executed) await fillVolumes(context, pod.uid, name, handler.bundle);
            FAULT: await faultPoint('agent.restore.filled');
            await markReady(context, pod.uid, name, restoreUid, handler);
            FAULT: await faultPoint('agent.restore.ready');
          });
          readyAt ??= performance.now();
          operation.report(Step.STEP_RESTORE, name);
          continue;
        }
        case 'restored': {
          if (readyAt !== undefined) steps.add(Step.STEP_RESTORE, performance.now() - readyAt);
          log.info('restored', { restored_at: container.restoredAt });
          return {
            claim,
            restoredAt: container.restoredAt,
            bytesTransferred: BigInt(record.bytes),
            steps: steps.list(),
          };
        }
        case 'wait':
          if (performance.now() > end) throw timedOut(pod, container);
          await Promise.race([delay(POLL_MS), noteChange.next()]);
      }
    }
  } catch (error) {
    // What went wrong after a revocation, went wrong because of it.
    const { claim, by } = readClaim(podDir);
    const cause = claim === Claim.CLAIM_REVOKED ? revokedBy(pod, by) : error;
    log.error('the restore failed', { error: cause });
    throw cause;
  } finally {
    noteChange.close();
  }
}

/** Finds what was done for this migration before, or begins. */
function begin(podDir: string, request: CheckedRestore, container: TargetContainer): RestoreRecord {
  const known = readRestoreRecord(podDir);
  if (known) {
    if (known.restoreUid === request.restoreUid) return known;
    if (container.attempted || readClaim(podDir).claim !== Claim.CLAIM_NONE) {
      throw new LpmError(
        'PodBusy',
        `Pod ${request.pod.name} has been restored, or tried to be, for migration ${known.restoreUid}.`,
      );
    }
    rmSync(join(container.folder, 'ready'), { force: true });
  }
  const { restoreUid, checkpointUid, containerNames } = request;
  const record = { restoreUid, checkpointUid, containerNames, staged: false, bytes: 0 };
  mkdirSync(container.folder, { recursive: true, mode: 0o700 });
  writeDurably(join(podDir, 'wanted'), `${containerNames.join('\n')}\n`);
  // Before anything can be ready, so that no handler misses it.
  if (request.hold) {
    writeFileSync(join(podDir, 'hold'), '', { mode: 0o600 });
    syncPath(podDir);
  }
  writeRestoreRecord(podDir, record);
  return record;
}

async function arrive(
  context: Context,
  tls: () => ChannelCredentials,
  request: CheckedRestore,
  operation: Operation<RestoreResult>,
  steps: Steps,
  record: RestoreRecord,
): Promise<void> {
  operation.report(Step.STEP_TRANSFER);
  const onBytes = throttled((bytes) => operation.report(Step.STEP_TRANSFER, '', bytes));
  const files = await steps.time(Step.STEP_TRANSFER, () =>
    request.archives.length > 0
      ? fetchArchives(context, request.archives, request.pod.uid, tls, onBytes, operation.signal)
      : fetchArtifacts(
          context,
          request.source,
          request.checkpointUid,
          request.pod.uid,
          tls(),
          onBytes,
          operation.signal,
        ),
  );
  FAULT: await faultPoint('agent.restore.arrived');
  operation.report(Step.STEP_STAGE);
  await steps.time(Step.STEP_STAGE, () =>
    stageArtifacts(context, request.pod.uid, request.containerNames, files),
  );
  record.staged = true;
  record.bytes = request.source ? files.reduce((sum, { size }) => sum + size, 0) : bytesOf(request.archives);
  writeRestoreRecord(context.state.pod(request.pod.uid), record);
}

/** What was read of archives, as they lie there. */
const bytesOf = (archives: readonly CheckedSource[]): number =>
  archives.reduce((sum, { bytes }) => sum + bytes, 0);

/** Progress for people needs no more than a few messages a second. */
function throttled(report: (bytes: number) => void, everyMs = 200): (bytes: number) => void {
  let last = 0;
  return (bytes) => {
    if (performance.now() - last < everyMs) return;
    last = performance.now();
    report(bytes);
  };
}

const revokedBy = (pod: CheckedPod, by: string): LpmError =>
  new LpmError('Revoked', `The restore of pod ${pod.name} was taken back by ${by}.`);

function failureOf(pod: CheckedPod, container: TargetContainer): LpmError {
  const { failure, name } = container;
  if (!failure) {
    return new LpmError(
      'CriuRestoreFailed',
      `The runtime ended the restore of container ${name} of pod ${pod.name}.`,
      {
        hint: 'Its time may have been over, or containerd or CRI-O was restarted.',
      },
    );
  }
  const finding = explainCriuLog(failure.log);
  return new LpmError(
    'CriuRestoreFailed',
    `Container ${name} of pod ${pod.name} cannot be restored: ${finding?.sentence ?? failure.sentence}.`,
    { hint: finding?.hint ?? '', log: logTail(failure.log || failure.sentence) },
  );
}

function timedOut(pod: CheckedPod, container: TargetContainer): LpmError {
  const what = container.attempted
    ? `Container ${container.name} of pod ${pod.name} was not restored`
    : `The runtime did not come to create container ${container.name} of pod ${pod.name}`;
  return new LpmError('TimedOut', `${what} within ${LIMIT_MS / 60_000} minutes.`);
}

/** Tells when something in a folder changes; a poll beside it makes up for what inotify misses. */
function watchFolder(folder: string): { next(): Promise<void>; close(): void } {
  let wake = (): void => {};
  const watcher = watch(folder, { persistent: false }, () => wake());
  watcher.on('error', () => {});
  return {
    next: () => new Promise((resolve) => (wake = resolve)),
    close: () => watcher.close(),
  };
}
