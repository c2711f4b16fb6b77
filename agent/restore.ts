import { existsSync, mkdirSync, watch, writeFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { ChannelCredentials } from '@grpc/grpc-js';
import { LpmError } from '../common/errors.js';
import { faultPoint } from '../common/fault-point.js';
import { Claim, Step, type RestoreRequest, type RestoreResult } from '../proto/gen/lpm/v1/agent.js';
import { checkFits } from './archives/reading/fits.js';
import { fetchArchives } from './archives/reading/fetch.js';
import { checkSource, type CheckedSource } from './archives/reading/source.js';
import { claimCommitted, readClaim } from './claim.js';
import type { Context } from './context.js';
import { explainCriuLog, logTail } from './criu-messages.js';
import { checkAddress, checkLabel, checkPod, checkSubdomain, checkUid, type CheckedPod } from './names.js';
import { Operation, Steps } from './operation.js';
import { readRestoreRecord, writeRestoreRecord, type RestoreRecord } from './restore-record.js';
import { fetchArtifacts, fillVolumes, markReady, stageArtifacts } from './stage.js';
import { syncPath, writeDurably } from './state.js';
import { letGo, standingOf } from './release.js';
import { nextStep, observeContainer, type TargetContainer } from './target.js';
import type { Source } from './transfer.js';

/** A restore that nobody revokes is watched for this long; the handler's own waiting ends much earlier. */
const LIMIT_MS = 15 * 60_000;
/** How often the handler's marks are looked at when no notification comes. */
const POLL_MS = 10;
/** How often the runtime is asked whether it counts what is held as running: within milliseconds it does. */
const START_POLL_MS = 3;

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
  mkdirSync(podDir, { recursive: true, mode: 0o700 });
  const observe = (): TargetContainer[] =>
    request.containerNames.map((name) => observeContainer(state, pod.uid, name));
  const record = begin(podDir, request, observe());
  const changes = watchFolders(observe().map(({ folder }) => folder));
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
      const containers = observe();
      const step = nextStep(claim, containers);
      let pauseMs = POLL_MS;
      switch (step.do) {
        case 'revoked':
          throw revokedBy(pod, by);
        case 'failed':
        case 'lost':
          throw failureOf(pod, step.container);
        case 'prepare': {
          const { name } = step.container;
          const handler = step.container.handler!;
          operation.report(Step.STEP_STAGE, name);
          await steps.time(Step.STEP_STAGE, async () => {
            if (request.archives.length > 0) await checkFits(context, pod.uid, name, handler);
            // Before the first of them is restored: they share volumes, and what is held has files open there.
            if (!containers.some(({ attempted }) => attempted)) {
              await fillVolumes(context, pod.uid, request.containerNames, handler.bundle);
            }
            FAULT: await faultPoint('agent.restore.filled');
            await markReady(context, pod.uid, name, restoreUid, handler);
            FAULT: await faultPoint('agent.restore.ready');
          });
          readyAt ??= performance.now();
          operation.report(Step.STEP_RESTORE, name);
          continue;
        }
        case 'commit': {
          if (existsSync(join(podDir, 'hold'))) break;
          const standing = await standingOf(
            context,
            containers.flatMap(({ held }) => held ?? []),
          );
          if (standing === 'over') throw failureOf(pod, containers[0]!);
          if (standing === 'starting') {
            pauseMs = START_POLL_MS;
            break;
          }
          FAULT: await faultPoint('agent.restore.held');
          claimCommitted(podDir, restoreUid);
          FAULT: await faultPoint('agent.restore.claimed');
          continue;
        }
        case 'release':
          letGo(context, pod.uid);
          FAULT: await faultPoint('agent.restore.released');
          continue;
        case 'restored': {
          if (readyAt !== undefined) steps.add(Step.STEP_RESTORE, performance.now() - readyAt);
          const restoredAt = new Date(
            Math.max(...containers.map((container) => container.restoredAt!.getTime())),
          );
          log.info('restored', { restored_at: restoredAt });
          return { claim, restoredAt, bytesTransferred: BigInt(record.bytes), steps: steps.list() };
        }
        case 'wait':
      }
      if (performance.now() > end) {
        throw timedOut(pod, containers.find(({ held }) => !held) ?? containers[0]!);
      }
      await Promise.race([delay(pauseMs), changes.next()]);
    }
  } catch (error) {
    // What went wrong after a revocation, went wrong because of it.
    const { claim, by } = readClaim(podDir);
    const cause = claim === Claim.CLAIM_REVOKED ? revokedBy(pod, by) : error;
    // The commit stands, whatever happened to the call in which it was made.
    letGo(context, pod.uid);
    log.error('the restore failed', { error: cause });
    throw cause;
  } finally {
    changes.close();
  }
}

/** Finds what was done for this migration before, or begins. */
function begin(
  podDir: string,
  request: CheckedRestore,
  containers: readonly TargetContainer[],
): RestoreRecord {
  const known = readRestoreRecord(podDir);
  if (known) {
    if (known.restoreUid === request.restoreUid) return known;
    const attempted = containers.some((container) => container.attempted);
    if (attempted || readClaim(podDir).claim !== Claim.CLAIM_NONE) {
      throw new LpmError(
        'PodBusy',
        `Pod ${request.pod.name} has been restored, or tried to be, for migration ${known.restoreUid}.`,
      );
    }
    for (const { folder } of containers) rmSync(join(folder, 'ready'), { force: true });
  }
  const { restoreUid, checkpointUid, containerNames } = request;
  const record = { restoreUid, checkpointUid, containerNames, staged: false, bytes: 0 };
  for (const { folder } of containers) mkdirSync(folder, { recursive: true, mode: 0o700 });
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

/** Tells when something in one of the folders changes; a poll beside it makes up for what inotify misses. */
function watchFolders(folders: readonly string[]): { next(): Promise<void>; close(): void } {
  let wake = (): void => {};
  const watchers = folders.map((folder) => watch(folder, { persistent: false }, () => wake()));
  for (const watcher of watchers) watcher.on('error', () => {});
  return {
    next: () => new Promise((resolve) => (wake = resolve)),
    close: () => watchers.forEach((watcher) => watcher.close()),
  };
}
