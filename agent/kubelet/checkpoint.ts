import { rmSync } from 'node:fs';
import { basename } from 'node:path';
import { LpmError } from '../../common/errors.js';
import {
  Step,
  type ArchiveInfo,
  type CheckpointByKubeletRequest,
  type CheckpointResult,
} from '../../proto/gen/lpm/v1/agent.js';
import { answeredResult, keepArchive, recordResult, type Keeping } from '../archives/keep.js';
import { prepareSeal, type Seal } from '../archives/seal.js';
import type { Context } from '../context.js';
import { hasOwnFreeze } from '../freeze.js';
import { Operation, Steps } from '../operation.js';
import { requireSandbox, runningContainers, type RunningContainer } from '../pod-view.js';
import { emptyDirsRoot } from '../volumes.js';
import { archivesOf, checkArchive, leftBehind, type ArchiveOf, type KubeletArchive } from './archives.js';
import { askKubelet } from './ask.js';
import { forgetAsked, noteAsked, readAsked, removeOldAsked } from './asked.js';
import { gapsOf } from './gaps.js';
import { checkHolds } from './holds.js';
import { isUnsettled, nothingToShow, outcomeOf, type Question, type Subject } from './outcome.js';
import { checkKubeletRequest, type CheckedKubeletRequest } from './request.js';
import { Turns } from './turns.js';
import { anotherContainer } from '../identify.js';

/** The kubelet's and its runtime's least patience (CRI's default deadline), and what the way there and back may take on top. */
const LEAST_MS = 120_000;
const AROUND_MS = 15_000;

/** Within what time after it was asked a kubelet has named the archive, at the latest. */
const BEGINS_WITHIN_MS = 30_000;

/** Checkpoints that the kubelet of this node makes. */
export class KubeletCheckpoints {
  private readonly running = new Map<string, Operation<CheckpointResult>>();
  private readonly turns = new Turns();

  constructor(private readonly context: Context) {
    removeOldAsked(context.state);
  }

  /** Starts one or joins the one with the same UID. */
  start(request: CheckpointByKubeletRequest): Operation<CheckpointResult> {
    const checked = checkKubeletRequest(request);
    const known = this.running.get(checked.checkpointUid);
    if (known) return known;
    const operation = new Operation<CheckpointResult>((self) =>
      this.context.metrics
        .observe('checkpoint_by_kubelet', () => this.checkpoint(checked, self))
        .finally(() => this.running.delete(checked.checkpointUid)),
    );
    this.running.set(checked.checkpointUid, operation);
    return operation;
  }

  private async checkpoint(
    request: CheckedKubeletRequest,
    operation: Operation<CheckpointResult>,
  ): Promise<CheckpointResult> {
    const { context } = this;
    const { pod, container, checkpointUid } = request;
    const log = context.log.with({
      checkpoint_uid: checkpointUid,
      pod_uid: pod.uid,
      container: container.name,
    });
    const finished = answeredResult(context, checkpointUid);
    if (finished) return finished;
    const seal = await prepareSeal(context.archives, request.archive);
    const of: ArchiveOf = { namespace: pod.namespace, pod: pod.name, container: container.name };
    try {
      return await this.turns.take(
        `${pod.uid} ${container.name}`,
        () => archivesOf(context.host, of).map(({ at }) => at),
        async () => {
          const earlier = await this.foundOfEarlier(request, of);
          // What was saved before is there, whatever has become of the container since.
          const running = await identify(context, request).catch((error: unknown) => {
            if (earlier) return { mine: undefined, others: [] };
            throw error;
          });
          const steps = new Steps();
          operation.report(Step.STEP_DUMP, container.name);
          const archive = earlier ?? (await steps.time(Step.STEP_DUMP, () => this.ask(request, of)));
          await checkHolds(context.host, archive.path, container).catch((error: unknown) => {
            // Made for us, and of no use to anybody: nobody else would ever remove it.
            rmSync(context.host.path(archive.path), { force: true });
            throw error;
          });
          const taken = new Date(Math.max(archive.at, readAsked(context.state, checkpointUid)?.at ?? 0));
          const info = await steps.time(Step.STEP_ARCHIVE, async () =>
            this.keep(
              archive,
              {
                checkpointUid,
                clusterUid: request.archive.clusterUid,
                pod,
                container: container.name,
                takenAt: new Date(archive.at),
                gaps: gapsOf({
                  runtimeName: (await context.cri.version()).runtimeName,
                  container: container.name,
                  others: running.others,
                  emptyDirs: emptyDirsOf(running.mine, pod.uid),
                }),
                restorable: false,
                onBytes: (done) => operation.report(Step.STEP_ARCHIVE, container.name, done),
              },
              seal,
            ),
          );
          const result = resultOf(container, running.mine, archive, taken, info, steps);
          recordResult(context, checkpointUid, result);
          forgetAsked(context.state, checkpointUid);
          log.info('checkpointed by the kubelet', { uri: info.uri, bytes: info.bytes });
          return result;
        },
      );
    } catch (error) {
      log.error('the checkpoint by the kubelet failed', {
        reason: error instanceof LpmError ? error.reason : 'Internal',
        error,
      });
      throw error;
    }
  }

  /** An archive that cannot be kept is of no use, and nobody else would ever remove it. */
  private async keep({ path }: KubeletArchive, keeping: Keeping, seal: Seal): Promise<ArchiveInfo> {
    const { context } = this;
    try {
      return await keepArchive(context, keeping, { from: 'kubelet', file: basename(path), seal });
    } catch (error) {
      rmSync(context.host.path(path), { force: true });
      forgetAsked(context.state, keeping.checkpointUid);
      throw error;
    }
  }

  /** What a request that was made for this checkpoint before, and whose answer nobody got, has brought. */
  private async foundOfEarlier(
    { checkpointUid, container }: CheckedKubeletRequest,
    of: ArchiveOf,
  ): Promise<KubeletArchive | undefined> {
    const { context } = this;
    const asked = readAsked(context.state, checkpointUid);
    if (!asked || asked.containerId !== container.containerId) return undefined;
    const found = await leftBehind(context.host, of, { from: asked.at, until: asked.at + BEGINS_WITHIN_MS });
    context.log.info('the kubelet was asked for this checkpoint before', {
      checkpoint_uid: checkpointUid,
      archive: found?.path ?? 'none',
    });
    return found;
  }

  private async ask(request: CheckedKubeletRequest, of: ArchiveOf): Promise<KubeletArchive> {
    const { context } = this;
    const { pod, container, checkpointUid, timeoutMs } = request;
    const question = questionOf(request);
    const subject: Subject = {
      nodeName: context.nodeName,
      address: `${context.kubelet.host}:${context.kubelet.port}`,
      ...of,
      patienceMs: Math.max(LEAST_MS, timeoutMs ?? 0),
    };
    const at = Date.now();
    noteAsked(context.state, checkpointUid, {
      version: 1,
      pod,
      container: container.name,
      containerId: container.containerId,
      at,
    });
    const { answers, problems } = await askKubelet(context, question);
    const last = answers.at(-1);
    if (!last) throw nothingToShow(problems, subject);
    const outcome = outcomeOf(answers, subject);
    if ('archive' in outcome) return checkArchive(context.host, outcome.archive, of);
    // A kubelet that was restarted may have done its part; a runtime that failed may have left half of an archive.
    const left = await leftBehind(context.host, of, { from: at, until: Date.now() });
    if (left && isUnsettled(last)) return left;
    throw outcome.error;
  }
}

function questionOf({ pod, container, timeoutMs }: CheckedKubeletRequest): Question {
  const seconds = timeoutMs === undefined ? undefined : Math.ceil(timeoutMs / 1000);
  return {
    path: `/checkpoint/${pod.namespace}/${pod.name}/${container.name}${seconds ? `?timeout=${seconds}` : ''}`,
    patienceMs: Math.max(LEAST_MS, timeoutMs ?? 0) + AROUND_MS,
  };
}

/**
 * The kubelet knows the container by its name only: that it is the one that is meant is looked at before, and in the archive
 * after.
 */
async function identify(
  context: Context,
  { pod, container: { name, containerId } }: CheckedKubeletRequest,
): Promise<{ mine: RunningContainer | undefined; others: string[] }> {
  await requireSandbox(context.cri, pod);
  const running = await runningContainers(context.host, context.cri, context.runtimeRoots, pod.uid);
  const mine = running.find(({ cri }) => cri.id === containerId);
  if (!mine || mine.name !== name) throw anotherContainer(running, { name, containerId }, pod.name);
  if (hasOwnFreeze(mine.oci.freezer)) {
    throw new LpmError(
      'PodBusy',
      `Container ${name} of pod ${pod.name} is frozen: it is being checkpointed or migrated already.`,
    );
  }
  return { mine, others: running.filter((each) => each !== mine).map((each) => each.name) };
}

function emptyDirsOf(
  container: RunningContainer | undefined,
  podUid: string,
): { name: string; path: string }[] {
  const root = `${emptyDirsRoot(podUid)}/`;
  return (container?.oci.spec.mounts ?? [])
    .filter(({ source }) => source?.startsWith(root))
    .map(({ source = '', destination }) => ({
      name: source.slice(root.length).split('/')[0] ?? '',
      path: destination,
    }));
}

function resultOf(
  { name, containerId }: CheckedKubeletRequest['container'],
  running: RunningContainer | undefined,
  { path }: KubeletArchive,
  frozenAt: Date,
  archive: ArchiveInfo,
  steps: Steps,
): CheckpointResult {
  const image = running?.cri.image;
  return {
    frozenAt,
    // The runtime does not say it.
    frozenFor: undefined,
    completedAt: new Date(),
    containers: [
      {
        containerName: name,
        containerId,
        bytes: archive.bytes,
        path,
        pagesWritten: 0n,
        image: image?.userSpecifiedImage || image?.image || '',
        imageRef: running?.cri.imageRef ?? '',
        archive,
      },
    ],
    totalBytes: archive.bytes,
    steps: steps.list(),
  };
}
