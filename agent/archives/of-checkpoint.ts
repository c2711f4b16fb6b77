import { join } from 'node:path';
import { KUBELET_CHECKPOINTS } from '../../common/api/names.js';
import { faultPoint } from '../../common/fault-point.js';
import { Step, type CheckpointResult, type ContainerArtifact } from '../../proto/gen/lpm/v1/agent.js';
import { removeArtifacts, type CheckpointManifest } from '../artifacts.js';
import type { ArchiveRequest } from '../checkpoint-request.js';
import type { Context } from '../context.js';
import { keepDumpLogs } from '../kept-logs.js';
import { durationOf, type Operation } from '../operation.js';
import { gapsOf } from './gaps.js';
import { keepArchive, recordResult } from './keep.js';
import { packContainer } from './pack.js';
import { isKept, readRecord } from './record.js';
import { dropUnanswered } from './remove.js';
import { prepareSeal } from './seal.js';

/** Progress is told this often at most. */
const TELL_MS = 200;

/**
 * Makes of a complete checkpoint's artifacts one archive for each container, records the result and removes the artifacts. The
 * pod runs on meanwhile. When it fails nothing is left of either; when this process dies, asking again goes on from the
 * artifacts, without another dump.
 */
export async function archiveArtifacts(
  context: Context,
  manifest: CheckpointManifest,
  options: ArchiveRequest,
  operation: Operation<CheckpointResult>,
): Promise<CheckpointResult> {
  const { state } = context;
  const { checkpointUid, pod, result } = manifest;
  const artifacts = state.artifacts(checkpointUid);
  const begin = performance.now();
  try {
    FAULT: await faultPoint('agent.archive.packing');
    const seal = await prepareSeal(context.archives, options);
    const containers: ContainerArtifact[] = [];
    for (const container of result.containers) {
      containers.push(await archiveContainer(container));
    }
    FAULT: await faultPoint('agent.archive.kept');
    const answer: CheckpointResult = {
      ...result,
      completedAt: new Date(),
      containers,
      totalBytes: containers.reduce((sum, { bytes }) => sum + bytes, 0n),
      steps: [...result.steps, { step: Step.STEP_ARCHIVE, duration: durationOf(performance.now() - begin) }],
    };
    recordResult(context, checkpointUid, answer);
    FAULT: await faultPoint('agent.archive.answered');
    await dropArtifacts(context, checkpointUid);
    return answer;

    async function archiveContainer(container: ContainerArtifact): Promise<ContainerArtifact> {
      const { containerName: name } = container;
      const shared = context.archives.repository.problem() === '';
      let total = 0;
      let told = 0;
      const tell = (done: number): void => {
        operation.signal.throwIfAborted();
        if (performance.now() - told < TELL_MS && done < total) return;
        told = performance.now();
        operation.report(Step.STEP_ARCHIVE, name, done, total);
      };
      // Each byte is read for its hash, packed, and copied where there is a repository.
      const rounds = shared ? 3 : 2;
      total = Number(container.bytes) * rounds;
      let hashed = 0;
      const { tar } = await packContainer(
        join(artifacts, name),
        {
          checkpointUid,
          clusterUid: options.clusterUid,
          nodeName: manifest.nodeName,
          pod,
          container: name,
          time: (result.frozenAt ?? new Date()).toISOString(),
          podJson: options.podJson,
        },
        (bytes) => tell((hashed += bytes)),
      );
      const info = await keepArchive(
        context,
        {
          checkpointUid,
          clusterUid: options.clusterUid,
          pod,
          container: name,
          takenAt: result.frozenAt ?? new Date(),
          gaps: gapsOf(options.podJson, name),
          restorable: true,
          onBytes: (done) => tell(hashed + done),
          signal: operation.signal,
        },
        { from: 'tar', tar, seal, folder: join(artifacts, name) },
      );
      const kept = readRecord(state, checkpointUid)
        ?.archives.filter(isKept)
        .find((each) => each.container === name);
      return {
        ...container,
        bytes: info.bytes,
        path: `${KUBELET_CHECKPOINTS}/${kept?.nodeFile ?? ''}`,
        archive: info,
      };
    }
  } catch (error) {
    await dropUnanswered(context, checkpointUid);
    await dropArtifacts(context, checkpointUid);
    throw error;
  }
}

/** The memory of the processes lies there in plain text: it goes as soon as it is not needed. */
export async function dropArtifacts(context: Context, checkpointUid: string): Promise<void> {
  await keepDumpLogs(context, checkpointUid, context.state.artifacts(checkpointUid));
  await removeArtifacts(context.state, checkpointUid);
}
