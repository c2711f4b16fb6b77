import { rmSync, writeFileSync } from 'node:fs';
import { copyFile, mkdir, stat, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LpmError, messageOf } from '../common/errors.js';
import { faultPoint } from '../common/fault-point.js';
import {
  ArchiveCompression,
  Step,
  type CheckpointRequest,
  type CheckpointResult,
  type ContainerArtifact,
} from '../proto/gen/lpm/v1/agent.js';
import {
  beginArtifacts,
  completeArtifacts,
  isThawed,
  listFiles,
  readManifest,
  syncFileSystem,
  type ArtifactFile,
  type CheckpointManifest,
} from './artifacts.js';
import { usedCompression } from './archives/compress.js';
import { answeredResult } from './archives/keep.js';
import { archiveFolder } from './archives/node-files.js';
import { archiveArtifacts, dropArtifacts } from './archives/of-checkpoint.js';
import { dropUnanswered } from './archives/remove.js';
import { prepareSeal } from './archives/seal.js';
import { podCgroupOf, processesBelow, waitFrozen, setFreezer, type FreezerCgroup } from './cgroup.js';
import { copyQuietLog } from './container-log.js';
import { checkRequest, type ArchiveRequest, type CheckedRequest } from './checkpoint-request.js';
import type { Context } from './context.js';
import { pagesWritten } from './criu-stats.js';
import { dumpContainer } from './dump.js';
import { checkFenced } from './fence.js';
import { freezeAll, isFrozen, thawAll } from './freeze.js';
import { checkUnchanged, identify } from './identify.js';
import { collectLayer, overlayOfProcess } from './layer.js';
import { keepDumpLogs } from './kept-logs.js';
import { memoryBytes } from './memory.js';
import type { CheckedPod } from './names.js';
import { findOciRuntime } from './oci.js';
import { durationOf, Operation, Steps } from './operation.js';
import type { RunningContainer } from './pod-view.js';
import { bootId, isAlive, pendingSignals, readStat } from './process.js';
import { createTar } from './tar.js';
import { assignVolumes, findEmptyDirs, sharedMemoryOf, type EmptyDir } from './volumes.js';

/** Room that a dump needs beside the memory itself (CRIU's other images, layers and volumes are usually small). */
const SPARE_BYTES = 64 * 1024 * 1024;

/** When the artifacts of a migration, should they still be there, are brought to the disk. */
const LATE_SYNC_MS = 60_000;

/** Checkpoints of this node: in progress, by UID. Finished ones are found on disk. */
export class Checkpoints {
  private readonly running = new Map<string, { pod: CheckedPod; operation: Operation<CheckpointResult> }>();

  constructor(
    private readonly context: Context,
    /** Called before one begins that is not known yet; what it throws refuses it. */
    private readonly begins: () => void = () => {},
  ) {}

  get inProgress(): number {
    return this.running.size;
  }

  isRunning(checkpointUid: string): boolean {
    return this.running.has(checkpointUid);
  }

  /** Starts a checkpoint or joins the one with the same UID. */
  start(request: CheckpointRequest): Operation<CheckpointResult> {
    const checked = checkRequest(request);
    const known = this.running.get(checked.checkpointUid);
    if (known) return known.operation;
    const other = [...this.running.entries()].find(([, { pod }]) => pod.uid === checked.pod.uid);
    if (other) {
      throw new LpmError('PodBusy', `Pod ${checked.pod.name} is being checkpointed by ${other[0]} already.`);
    }
    if (!readManifest(this.context.state, checked.checkpointUid)) this.begins();
    const operation = new Operation<CheckpointResult>((self) =>
      this.context.metrics
        .observe('checkpoint', () => checkpoint(this.context, checked, self))
        .finally(() => this.running.delete(checked.checkpointUid)),
    );
    this.running.set(checked.checkpointUid, { pod: checked.pod, operation });
    return operation;
  }

  /** Asks a checkpoint that is being made to stop, and waits until it has thawed the pod. */
  async cancel(checkpointUid: string): Promise<void> {
    const operation = this.running.get(checkpointUid)?.operation;
    operation?.cancel();
    await operation?.done.catch(() => {});
  }

  /** Waits for everything in progress (at the agent's end). */
  async settle(): Promise<void> {
    await Promise.allSettled([...this.running.values()].map(({ operation }) => operation.done));
  }
}

/** Errors after which everything that was frozen runs again (ErrorDetail.source_thawed). */
const thawedErrors = new WeakSet<Error>();
export const leftSourceThawed = (error: unknown): boolean =>
  error instanceof Error && thawedErrors.has(error);

async function checkpoint(
  context: Context,
  request: CheckedRequest,
  operation: Operation<CheckpointResult>,
): Promise<CheckpointResult> {
  const { state } = context;
  const log = context.log.with({ checkpoint_uid: request.checkpointUid, pod_uid: request.pod.uid });
  const answered = request.archive && answeredResult(context, request.checkpointUid);
  if (answered) return answered;
  if (isThawed(state, request.checkpointUid)) {
    throw new LpmError(
      'Revoked',
      `Checkpoint ${request.checkpointUid} of pod ${request.pod.name} was given up and its source thawed; it is not frozen again.`,
      { hint: 'A new checkpoint needs a new UID.' },
    );
  }
  const finished = readManifest(state, request.checkpointUid);
  if (request.archive && finished?.bootId === bootId()) return pack(finished, request.archive);
  if (request.archive && finished) await dropArtifacts(context, request.checkpointUid);
  else if (finished) {
    await checkFenced(context, finished);
    return finished.result;
  }
  let frozen: readonly FreezerCgroup[] = [];
  try {
    if (request.archive) {
      await prepareSeal(context.archives, request.archive);
      await dropUnanswered(context, request.checkpointUid);
    }
    const containers = await identify(context, request);
    await checkRoom(context, containers, request.archive);
    const runtime = await findOciRuntime(context.host);
    const podCgroup = podCgroupOf(containers[0]!.oci.freezer, request.pod.uid);
    if (!podCgroup && !request.thawAfter) {
      throw new LpmError(
        'RuntimeNotSupported',
        `Pod ${request.pod.name} has no cgroup of its own on node ${context.nodeName}: what its kubelet starts while it is frozen could not be kept from running.`,
        { hint: 'Let kubelet and runtime use the same cgroup driver.' },
      );
    }
    const volumes = assignVolumes(
      await findEmptyDirs(context.host, request.pod.uid),
      containers.map(({ name, oci }) => ({ name, spec: oci.spec })),
    );
    const folder = beginArtifacts(state, request.checkpointUid, {
      pod: request.pod,
      ...(request.owner ? { owner: request.owner } : {}),
      containerIds: containers.map(({ oci }) => oci.id),
    });
    FAULT: await faultPoint('agent.checkpoint.recorded');
    const steps = new Steps();
    const cgroups = containers.map(({ oci }) => oci.freezer);
    frozen = podCgroup ? [...cgroups, podCgroup] : cgroups;

    operation.report(Step.STEP_FREEZE);
    let frozenMs: number | undefined;
    const { frozenAt, monotonicMs } = await steps.time(Step.STEP_FREEZE, () => freezeAll(cgroups));
    FAULT: await faultPoint('agent.checkpoint.frozen');
    stopIfCanceled(operation);

    // The dump lets no instruction of the container's own run, so its files can be copied at the same time.
    const work = containers.map((container, index) => ({
      container,
      folder: join(folder, container.name),
      volumes: volumes.get(container.name) ?? [],
      shm: index === 0 ? sharedMemoryOf(container.oci.spec) : undefined,
    }));
    await Promise.all(
      work.map(({ folder: each }) => mkdir(join(each, 'volumes'), { recursive: true, mode: 0o700 })),
    );
    const dumping = steps.time(Step.STEP_DUMP, () =>
      Promise.all(
        work.map(async ({ container, folder: each }) => {
          operation.report(Step.STEP_DUMP, container.name);
          await dumpContainer(
            context.host,
            runtime,
            container.oci,
            each,
            container.name,
            request.tcp,
            request.dumpTimeoutMs ?? context.dumpTimeoutMs,
            (pid) => noteDumper(folder, container.name, pid),
          );
        }),
      ),
    );
    const collecting = steps.time(Step.STEP_COLLECT, () =>
      Promise.all(
        work.map(async (each) => {
          operation.report(Step.STEP_COLLECT, each.container.name);
          FAULT: await faultPoint('agent.checkpoint.dumping');
          await collect(context, each);
        }),
      ),
    );
    // Both end before anything is thawed or removed, whichever fails first.
    for (const outcome of await Promise.allSettled([dumping, collecting])) {
      if (outcome.status === 'rejected') throw outcome.reason;
    }
    FAULT: await faultPoint('agent.checkpoint.dumped');
    stopIfCanceled(operation);
    for (const { name, oci } of containers) {
      if (isFrozen(oci.freezer)) continue;
      throw new LpmError('FreezeFailed', `Container ${name} did not stay frozen during its dump.`, {
        hint: 'CRIU 4.1 or newer is needed to dump a frozen container.',
      });
    }
    if (request.thawAfter) {
      thawAll(frozen);
      frozenMs = performance.now() - monotonicMs;
      frozen = [];
    } else if (podCgroup) {
      // From here on, what the kubelet may start in this pod is born frozen.
      setFreezer(podCgroup, true);
      await waitFrozen(podCgroup, 1000);
      FAULT: await faultPoint('agent.checkpoint.fenced');
      await checkUnchanged(context, request, containers);
    }

    const files: ArtifactFile[] = [];
    const artifacts: ContainerArtifact[] = [];
    for (const { container, folder: each } of work) {
      await writeDescription(context, container, each, frozenAt);
      const listed = await listFiles(each, container.name);
      files.push(...listed);
      artifacts.push({
        containerName: container.name,
        containerId: container.oci.id,
        bytes: BigInt(listed.reduce((sum, { size }) => sum + size, 0)),
        path: join(state.artifacts(request.checkpointUid), container.name),
        pagesWritten: await pagesWritten(join(each, 'stats-dump')),
        image: container.cri.image?.userSpecifiedImage || container.cri.image?.image || '',
        imageRef: container.cri.imageRef,
        archive: undefined,
      });
    }
    if (request.thawAfter && !request.archive) await syncFileSystem(folder);
    const result: CheckpointResult = {
      frozenAt,
      completedAt: new Date(),
      containers: artifacts,
      totalBytes: artifacts.reduce((sum, { bytes }) => sum + bytes, 0n),
      steps: steps.list(),
      frozenFor: frozenMs === undefined ? undefined : durationOf(frozenMs),
    };
    stopIfCanceled(operation);
    const manifest: CheckpointManifest = {
      version: 1,
      checkpointUid: request.checkpointUid,
      pod: request.pod,
      ...(request.owner ? { owner: request.owner } : {}),
      nodeName: context.nodeName,
      bootId: bootId(),
      ...(request.archive ? { forArchive: true } : {}),
      result,
      files,
    };
    completeArtifacts(state, manifest);
    // A migration does not wait for the disk: until the commit the frozen process itself is there, and a crash of the node
    // takes that away with the unwritten pages. Nor is the transfer made to share the disk with a sync of files that are
    // usually discarded seconds later; what is kept longer is synced then.
    if (!request.thawAfter) setTimeout(() => void syncFileSystem(state.artifactsRoot), LATE_SYNC_MS).unref();
    const stoodMs = frozenMs ?? performance.now() - monotonicMs;
    context.metrics.add('lpm_agent_source_frozen_seconds_sum', '', stoodMs / 1000);
    context.metrics.add('lpm_agent_source_frozen_seconds_count');
    context.metrics.add('lpm_agent_bytes_dumped_total', '', Number(result.totalBytes));
    for (const { name, ms } of steps.named()) {
      context.metrics.add('lpm_agent_step_seconds_sum', `step="${name}"`, ms / 1000);
      context.metrics.add('lpm_agent_step_seconds_count', `step="${name}"`);
    }
    log.info('checkpointed', { bytes: result.totalBytes, frozen_ms: Math.round(stoodMs) });
    return request.archive ? await pack(manifest, request.archive) : result;
  } catch (error) {
    const failure = await undo(context, request, frozen, error);
    log.error('the checkpoint failed', { reason: failure.reason, error: failure.message });
    throw failure;
  }

  async function pack(complete: CheckpointManifest, options: ArchiveRequest): Promise<CheckpointResult> {
    const result = await archiveArtifacts(context, complete, options, operation);
    log.info('archived the checkpoint', {
      archives: result.containers.map(({ archive }) => archive?.uri),
      bytes: result.totalBytes,
    });
    return result;
  }
}

function stopIfCanceled(operation: Operation<unknown>): void {
  if (operation.canceled) throw new LpmError('Canceled', 'The checkpoint was canceled.');
}

/** Takes everything back and says so. */
async function undo(
  context: Context,
  request: CheckedRequest,
  frozen: readonly FreezerCgroup[],
  error: unknown,
): Promise<LpmError> {
  const doomed = doomedProcesses(frozen);
  thawAll(frozen);
  const partial = context.state.partialArtifacts(request.checkpointUid);
  await keepDumpLogs(context, request.checkpointUid, partial);
  rmSync(partial, { recursive: true, force: true });
  const cause =
    error instanceof LpmError ? error : new LpmError('Internal', messageOf(error), { cause: error });
  const failure =
    doomed === 0
      ? cause
      : new LpmError(
          cause.reason,
          `${cause.message} While it was frozen, somebody sent the pod a SIGKILL (${doomed} processes): the kubelet restarts it.`,
          { hint: cause.hint || 'A liveness probe may have failed meanwhile.', log: cause.log, cause },
        );
  thawedErrors.add(failure);
  return failure;
}

/** Processes that will die as soon as they are thawed. */
export function doomedProcesses(frozen: readonly FreezerCgroup[]): number {
  const pids = new Set(frozen.flatMap(({ dir }) => processesBelow(dir)));
  return [...pids].filter((pid) => pendingSignals(pid).kill).length;
}

/** A dump must fit; so must its archive beside it, unless that is compressed to nobody knows how little. */
async function checkRoom(
  context: Context,
  containers: readonly RunningContainer[],
  archive: ArchiveRequest | undefined,
): Promise<void> {
  const wanted = containers.reduce(
    (sum, { oci }) => sum + memoryBytes(processesBelow(oci.freezer.dir)),
    SPARE_BYTES,
  );
  const { root } = context.state;
  await mustHaveRoom(context, root, wanted, 'The dump');
  if (
    !archive ||
    (await usedCompression(archive.compression)) !== ArchiveCompression.ARCHIVE_COMPRESSION_NONE
  )
    return;
  const folder = await archiveFolder(context.host);
  const together = (await stat(folder)).dev === (await stat(root)).dev;
  await mustHaveRoom(
    context,
    folder,
    together ? 2 * wanted : wanted,
    together ? 'The dump and its archive' : 'The archive',
  );
}

async function mustHaveRoom(context: Context, folder: string, wanted: number, what: string): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  if (free > wanted) return;
  const mebibytes = (bytes: number): string => `${Math.ceil(bytes / 1048576)} MiB`;
  throw new LpmError(
    'NoSpace',
    `${what} may take ${mebibytes(wanted)}, but only ${mebibytes(free)} are free in ${folder} on node ${context.nodeName}.`,
    { hint: 'Make room there.' },
  );
}

interface Collecting {
  container: RunningContainer;
  folder: string;
  volumes: EmptyDir[];
  shm: string | undefined;
}

async function collect(context: Context, { container, folder, volumes, shm }: Collecting): Promise<void> {
  const { host } = context;
  const archives = volumes.map(({ name, path }) =>
    createTar(host, { folder: host.path(path), archive: join(folder, 'volumes', `${name}.tar`) }),
  );
  if (shm) archives.push(createTar(host, { folder: host.path(shm), archive: join(folder, 'dev-shm.tar') }));
  await Promise.all([
    collectLayer(host, overlayOfProcess(host, container.oci.pid), folder),
    collectLog(context, container, folder),
    ...archives,
  ]);
}

async function collectLog(context: Context, container: RunningContainer, folder: string): Promise<void> {
  const { logPath } = await context.cri.containerInfo(container.oci.id);
  if (logPath) await copyQuietLog(context.host.path(logPath), join(folder, 'container.log'));
}

/** config.dump and spec.dump, as checkpointctl reads them (podman's libpod ContainerConfig, a runtime-spec). */
async function writeDescription(
  context: Context,
  container: RunningContainer,
  folder: string,
  frozenAt: Date,
): Promise<void> {
  const config = {
    id: container.oci.id,
    name: container.name,
    rootfsImageName: container.cri.image?.image ?? '',
    rootfsImageRef: container.cri.imageRef,
    runtime: container.oci.runtime,
    createdTime: new Date(Number(container.cri.createdAt / 1_000_000n)).toISOString(),
    checkpointedTime: frozenAt.toISOString(),
  };
  await writeFile(join(folder, 'config.dump'), JSON.stringify(config), { mode: 0o600 });
  await copyFile(context.host.path(join(container.oci.bundle, 'config.json')), join(folder, 'spec.dump'));
}

/** Notes who dumps, so that an agent that comes after us waits for it before it thaws (see recoverCheckpoints). */
function noteDumper(folder: string, container: string, pid: number): void {
  const stat = readStat(pid);
  if (stat) writeFileSync(join(folder, `${container}.dumper`), `pid ${pid}\nstart ${stat.startTime}\n`);
}

export const dumperAlive = (fields: Record<string, string> | undefined): boolean =>
  fields !== undefined && isAlive(Number(fields.pid), fields.start);
