import { API_VERSION } from '../../../common/api/names.js';
import type { PodMigration } from '../../../common/api/schema.js';
import { ApiError } from '../../../common/kube/api-error.js';
import type { KubeClient } from '../../../common/kube/client.js';
import { requireInstalled } from '../../checks/installed.js';
import { EXIT, type ExitCode } from '../../exit-code.js';
import type { DryRun, KubeFlags } from '../../flags.js';
import type { Invocation } from '../../invocation.js';
import { MIGRATION_RESOURCE, reportOutcome } from '../../migrate/outcome.js';
import { nameFor } from '../../object-name.js';
import type { ObjectFormat } from '../../output/format.js';
import { put } from '../../output/print.js';
import { flow, paint } from '../../terminal.js';
import { findCheckpoint, type CheckpointName } from '../find.js';
import type { Checkpoint } from '../kinds.js';
import { importedPod, remarkable } from './imported-pod.js';
import { judgeNode, judgeRestore, twinWarning } from './judge.js';
import { makePod } from './make-pod.js';
import { followMigration, ROLLBACK_MS } from '../../migrate/follow.js';

export interface RestoreWish {
  name: CheckpointName;
  to?: string;
  /** Name of the new pod. */
  pod?: string;
  timeoutMs: number;
  wait: boolean;
  dryRun?: DryRun;
  output?: ObjectFormat;
  plain: boolean;
}

export async function restore(
  invocation: Invocation,
  flags: KubeFlags,
  wish: RestoreWish,
): Promise<ExitCode> {
  const terminal = invocation.terminal(wish);
  const { yellow } = paint(terminal.color);
  const { client, namespace } = await invocation.connect(flags);
  await requireInstalled(client);
  const checkpoint = await findCheckpoint(client, namespace, wish.name, invocation);
  judgeRestore(checkpoint, invocation);
  if (wish.to !== undefined) await judgeNode(client, wish.to);
  const imported = checkpoint.spec.import
    ? await importedPod(client, checkpoint, namespace, wish)
    : undefined;
  const original = imported ? undefined : await found(client, checkpoint.spec.podName, namespace);
  const warning = twinWarning(checkpoint, original);
  const warn = (text: string) => terminal.err(yellow(flow(terminal, `warning: ${text}`)));
  if (warning) warn(warning);
  for (const text of imported ? remarkable(imported.source) : []) warn(text);
  if (invocation.detach.signal.aborted) return EXIT.detached;

  const wanted = migrationOf(checkpoint, namespace, imported ? { ...wish, pod: imported.name } : wish);
  if (wish.dryRun) {
    const shown =
      wish.dryRun === 'client'
        ? wanted
        : await client.podMigrations.create(wanted, namespace, { dryRun: 'All' });
    const done = `${MIGRATION_RESOURCE}/${wanted.metadata.name} created (${wish.dryRun === 'client' ? 'dry run' : 'server dry run'})`;
    await put(terminal, shown, wish.output, MIGRATION_RESOURCE, done);
    return EXIT.done;
  }
  const created = await client.podMigrations.create(wanted, namespace);
  const { name } = created.metadata;
  const { signal } = invocation.detach;
  if (imported && !(await makePod(client, created, imported, signal)) && signal.aborted) {
    terminal.err(`Interrupted before its pod was made: the restore ${name} was withdrawn.`);
    return EXIT.detached;
  }
  if (!wish.wait) {
    await put(terminal, created, wish.output, MIGRATION_RESOURCE, `${MIGRATION_RESOURCE}/${name} created`);
    if (!wish.output)
      terminal.err(
        `Follow it with: ${invocation.again(`${invocation.program.replace('checkpoint', 'migrate')} status ${name} -w`)}`,
      );
    return EXIT.done;
  }
  terminal.err(`${MIGRATION_RESOURCE}/${name} created`);
  const outcome = await followMigration(created, {
    terminal,
    client,
    timeoutMs: wish.timeoutMs + ROLLBACK_MS,
    detach: invocation.detach.signal,
  });
  return reportOutcome({
    invocation,
    terminal,
    client,
    name,
    outcome,
    output: wish.output,
  });
}

function migrationOf(checkpoint: Checkpoint, namespace: string, wish: RestoreWish): PodMigration {
  const { kind, metadata, spec } = checkpoint;
  return {
    apiVersion: API_VERSION,
    kind: 'PodMigration',
    metadata: { name: nameFor(spec.podName), namespace },
    spec: {
      podName: spec.podName,
      fromCheckpoint: { kind, name: metadata.name },
      ...(wish.to === undefined ? {} : { targetNode: wish.to }),
      ...(wish.pod === undefined ? {} : { restoredPodName: wish.pod }),
      timeoutSeconds: Math.ceil(wish.timeoutMs / 1000),
    },
  };
}

async function found(client: KubeClient, pod: string, namespace: string) {
  try {
    return await client.pods.find(pod, namespace);
  } catch (error) {
    if (error instanceof ApiError && error.isForbidden) return undefined;
    throw error;
  }
}
