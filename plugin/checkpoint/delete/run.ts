import { ApiError } from '../../../common/kube/api-error.js';
import type { KubeClient } from '../../../common/kube/client.js';
import { requireInstalled } from '../../checks/installed.js';
import { explain } from '../../cli-error.js';
import { EXIT, type ExitCode } from '../../exit-code.js';
import type { KubeFlags } from '../../flags.js';
import { follow } from '../../follow.js';
import type { Invocation } from '../../invocation.js';
import { contentsOf, place } from '../contents.js';
import { allCheckpoints, findCheckpoint, type CheckpointName } from '../find.js';
import { resourceName, resourceOf, type Checkpoint } from '../kinds.js';

export interface DeleteWish {
  names: CheckpointName[];
  selector?: string;
  wait: boolean;
  /** Milliseconds to wait; 0 waits for ever. */
  timeoutMs: number;
}

export async function deleteCheckpoints(
  invocation: Invocation,
  flags: KubeFlags,
  wish: DeleteWish,
): Promise<ExitCode> {
  const terminal = invocation.terminal({});
  const { client, namespace } = await invocation.connect(flags);
  await requireInstalled(client);
  let code: ExitCode = EXIT.done;
  const found: Checkpoint[] = [];
  if (wish.selector !== undefined) {
    found.push(...(await allCheckpoints(client, { namespace, labelSelector: wish.selector })));
    if (found.length === 0) terminal.err(`No resources found in ${namespace} namespace.`);
  }
  for (const name of wish.names) {
    try {
      found.push(await findCheckpoint(client, namespace, name, invocation));
    } catch (error) {
      if (wish.names.length === 1) throw error;
      // As kubectl: the others are deleted all the same.
      const { message, hints } = explain(error);
      terminal.err([`error: ${message}`, ...hints].join('\n'));
      code = EXIT.failed;
    }
  }
  const gone: Promise<boolean>[] = [];
  const timeout = wish.timeoutMs > 0 ? AbortSignal.timeout(wish.timeoutMs) : undefined;
  const signal = timeout ? AbortSignal.any([invocation.detach.signal, timeout]) : invocation.detach.signal;
  for (const checkpoint of found) {
    const { kind, metadata } = checkpoint;
    const fate = await archiveFate(client, checkpoint);
    await remove(client, checkpoint);
    terminal.out(`${resourceName(kind)} "${metadata.name}" deleted`);
    terminal.err(`${metadata.name}: ${fate.sentence}`);
    if (wish.wait) gone.push(isGone(client, checkpoint, fate.content, signal));
  }
  const ended = await Promise.all(gone);
  if (ended.every(Boolean)) return code;
  if (invocation.detach.signal.aborted) {
    terminal.err('Detached; the deletion goes on in the cluster.');
    return EXIT.detached;
  }
  terminal.err(
    'error: Waited long enough: not all of it is gone yet. What still reads an archive keeps it until it is done.',
  );
  return EXIT.timedOut;
}

async function remove(client: KubeClient, { kind, metadata }: Checkpoint): Promise<void> {
  const { name, namespace, uid } = metadata;
  try {
    // By its UID: a namesake that was made since is another checkpoint.
    await resourceOf(client, kind).delete(name, namespace, {
      ...(uid ? { uid } : {}),
      propagationPolicy: 'Background',
    });
  } catch (error) {
    if (!(error instanceof ApiError && error.isNotFound)) throw error;
  }
}

interface Fate {
  sentence: string;
  /** The content that goes too; undefined when none does, or it is not to be seen. */
  content?: string;
}

async function archiveFate(client: KubeClient, checkpoint: Checkpoint): Promise<Fate> {
  const { status, spec } = checkpoint;
  if (!status?.boundContentName) return { sentence: 'it has no archive.' };
  const contents = await contentsOf(client, checkpoint);
  // The content's policy counts; the checkpoint's is what it was made with.
  const policy = contents[0]?.spec.deletionPolicy ?? spec.deletionPolicy ?? 'Delete';
  if (policy === 'Retain') {
    const where = contents.map((content) => place(content.spec)).join(', ');
    return { sentence: `its archive is kept (deletion policy Retain)${where ? `: ${where}` : ''}.` };
  }
  return {
    sentence: 'its archive is removed with it (deletion policy Delete).',
    ...(contents.length > 0 ? { content: status.boundContentName } : {}),
  };
}

/** True when object and content are gone, false when the signal came before. */
async function isGone(
  client: KubeClient,
  { kind, metadata }: Checkpoint,
  content: string | undefined,
  signal: AbortSignal,
): Promise<boolean> {
  const { name, namespace = '' } = metadata;
  if (!(await ends(follow(resourceOf(client, kind), name, namespace, signal)))) return false;
  if (content === undefined) return true;
  const contents =
    kind === 'PodCheckpoint' ? client.podCheckpointContents : client.containerCheckpointContents;
  return ends(follow(contents as typeof client.podCheckpointContents, content, '', signal));
}

async function ends(sightings: AsyncIterable<{ type: string }>): Promise<boolean> {
  for await (const { type } of sightings) if (type === 'gone') return true;
  return false;
}
