import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ChannelCredentials } from '@grpc/grpc-js';
import { LpmError } from '../common/errors.js';
import { linkArtifacts, pullArtifacts, type Source } from './transfer.js';
import type { ArtifactFile } from './artifacts.js';
import { writeEarlierLog } from './container-log.js';
import type { Context } from './context.js';
import { waitingLogPath } from './log-path.js';
import { readText, type OciSpec } from './oci.js';
import { syncPath, writeDurably } from './state.js';
import { checkDeletions, checkTar } from './tar-check.js';
import { extractTar } from './tar.js';
import type { WaitingHandler } from './target.js';
import { sharedMemoryOf, targetVolume } from './volumes.js';

/** Brings the artifacts onto this node, into `incoming`; what an earlier try left there goes. */
export async function fetchArtifacts(
  context: Context,
  source: Source | undefined,
  checkpointUid: string,
  podUid: string,
  credentials: ChannelCredentials,
  onBytes: (bytes: number) => void,
  signal: AbortSignal,
): Promise<ArtifactFile[]> {
  const incoming = join(context.state.pod(podUid), 'incoming');
  rmSync(incoming, { recursive: true, force: true });
  mkdirSync(incoming, { recursive: true, mode: 0o700 });
  if (!source) return linkArtifacts(context, checkpointUid, incoming);
  const files = await pullArtifacts(credentials, source, incoming, onBytes, signal);
  context.metrics.add(
    'lpm_agent_bytes_received_total',
    '',
    files.reduce((sum, { size }) => sum + size, 0),
  );
  return files;
}

/**
 * Checks what has arrived and makes it the containers' stage. Nothing of it is used before everything has passed.
 *
 * @throws ArtifactInvalid
 */
export async function stageArtifacts(
  context: Context,
  podUid: string,
  containerNames: readonly string[],
  files: readonly ArtifactFile[],
): Promise<void> {
  const incoming = join(context.state.pod(podUid), 'incoming');
  const arrived = new Set(files.map(({ container }) => container));
  for (const name of containerNames) {
    if (!arrived.has(name)) {
      throw new LpmError(
        'ArtifactInvalid',
        `The checkpoint holds no container ${name}, only ${[...arrived].join(', ')}.`,
      );
    }
  }
  for (const name of containerNames) {
    const own = files.filter(({ container }) => container === name);
    if (!own.some(({ path }) => path === 'checkpoint/inventory.img')) {
      throw new LpmError('ArtifactInvalid', `The checkpoint of container ${name} holds no CRIU images.`);
    }
    await checkStage(join(incoming, name), own);
    const folder = context.state.container(podUid, name);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    rmSync(join(folder, 'stage'), { recursive: true, force: true });
    renameSync(join(incoming, name), join(folder, 'stage'));
    syncPath(folder);
  }
  rmSync(incoming, { recursive: true, force: true });
}

async function checkStage(folder: string, files: readonly ArtifactFile[]): Promise<void> {
  const archives = files.filter(({ path }) => path.endsWith('.tar') && path !== 'rootfs-diff.tar');
  for (const { path } of archives) await checkTar(join(folder, path));
  const layer = join(folder, 'rootfs-diff.tar');
  if (existsSync(layer)) {
    const { directories } = await checkTar(layer);
    const deletions = checkDeletions(readText(join(folder, 'deleted.files')) || '[]', directories);
    // For `xargs -0` of the handler: no name needs quoting.
    const list = deletions.map((path) => `${path}\0`).join('');
    writeFileSync(join(folder, 'deleted.list'), list, { mode: 0o600 });
  }
}

/** Fills the pod's emptyDirs and /dev/shm: the handler waits, so the kubelet has made them and nothing runs yet. */
export async function fillVolumes(
  context: Context,
  podUid: string,
  containerNames: readonly string[],
  bundle: string,
): Promise<void> {
  const fills = containerNames.flatMap((name) => {
    const stage = join(context.state.container(podUid, name), 'stage');
    return [
      ...archivedVolumes(join(stage, 'volumes')).map(async (volume) => {
        const folder = await targetVolume(context.host, podUid, volume);
        await extractTar(context.host, join(stage, 'volumes', `${volume}.tar`), folder);
      }),
      ...sharedMemory(context, name, join(stage, 'dev-shm.tar'), bundle),
    ];
  });
  await Promise.all(fills);
}

function sharedMemory(context: Context, name: string, archive: string, bundle: string): Promise<void>[] {
  if (!existsSync(archive)) return [];
  const spec = JSON.parse(readFileSync(context.host.path(join(bundle, 'config.json')), 'utf8')) as OciSpec;
  const target = sharedMemoryOf(spec);
  if (!target) {
    throw new LpmError('StageFailed', `Container ${name} shares no /dev/shm with its pod on this node.`);
  }
  return [extractTar(context.host, archive, context.host.path(target))];
}

function archivedVolumes(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.endsWith('.tar'))
    .map((name) => name.slice(0, -'.tar'.length));
}

/**
 * Makes the stage ready for one waiting handler. `ready` names its container, because the log belongs to that one: a handler
 * that comes after it (its predecessor's time was over) is made ready anew.
 */
export async function markReady(
  context: Context,
  podUid: string,
  name: string,
  restoreUid: string,
  handler: WaitingHandler,
): Promise<void> {
  const folder = context.state.container(podUid, name);
  const logPath = await waitingLogPath(context.host, context.cri, handler);
  if (logPath) await writeEarlierLog(join(folder, 'stage', 'container.log'), context.host.path(logPath));
  writeDurably(join(folder, 'ready'), `restore ${restoreUid}\ncontainer ${handler.containerId}\n`);
}
