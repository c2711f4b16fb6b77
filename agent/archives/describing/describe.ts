import type { ArchiveDescription, DescribedMount } from '../../../proto/gen/lpm/v1/agent.js';
import { MntEntry, UtsnsEntry } from '../../../proto/gen/lpm/criu/v1/images.js';
import { parseCriuVersion } from '../../node-info.js';
import type { OciSpec } from '../../oci.js';
import type { Decrypt } from '../reading/decode.js';
import { imagesNamed, messages } from './images.js';
import { gatherFromArchive, gatherFromFolder, type Gathered } from './gather.js';
import { plain, describeProcesses } from './processes.js';

const MAX_MOUNTS = 300;

/**
 * What an archive says of itself, for people. It is read to its end; nothing is written, and nothing in it is believed.
 *
 * @throws ArtifactInvalid for what is no archive, EncryptionNotSetUp
 */
export async function describeArchive(
  bytes: AsyncIterable<Uint8Array>,
  decrypt: Decrypt,
): Promise<ArchiveDescription> {
  return describe(await gatherFromArchive(bytes, decrypt));
}

/** The same of a container's artifacts, before they are packed or after they are unpacked. */
export async function describeFolder(folder: string): Promise<ArchiveDescription> {
  return describe(await gatherFromFolder(folder));
}

/** What cannot be read is left out: a description decides nothing, so half of one is better than none. */
export function describe(gathered: Gathered): ArchiveDescription {
  const config = json(gathered, 'config.dump');
  const spec = json(gathered, 'spec.dump') as OciSpec & { hostname?: unknown };
  const processes = describeProcesses(gathered);
  const mounts = describeMounts(gathered, spec);
  const bytesOf = (pattern: RegExp): bigint => {
    let sum = 0;
    for (const [name, size] of gathered.sizes) if (pattern.test(name)) sum += size;
    return BigInt(sum);
  };
  const log = gathered.contents.get('dump.log') ?? gathered.contents.get('checkpoint/dump.log');
  const [host] = imagesNamed(gathered, /^utsns-\d+\.img$/).flatMap(({ bytes }) =>
    messages(bytes, 'utsns', UtsnsEntry),
  );
  return {
    processes: processes.list,
    mounts: mounts.slice(0, MAX_MOUNTS),
    image: text(config.rootfsImageName) || text(config.rootfsImage),
    imageRef: text(config.rootfsImageRef),
    runtime: text(config.runtime),
    criuVersion: plain(criuVersion(log)),
    // Of a UTS namespace that the sandbox holds, CRIU keeps only that it is somebody else's.
    hostname: plain(host?.nodename ?? '') || text(spec.hostname) || hostnameOf(spec),
    memoryBytes: bytesOf(/^checkpoint\/pages-.*\.img$/),
    layerBytes: bytesOf(/^rootfs-diff\.tar$/),
    volumeBytes: bytesOf(/^(?:volumes\/.*|dev-shm)\.tar$/),
    truncated: gathered.truncated || processes.truncated || mounts.length > MAX_MOUNTS,
  };
}

const text = (value: unknown): string => (typeof value === 'string' ? plain(value) : '');

/** "(00.000000) Version: 4.2.1 (gitid 0)" */
function criuVersion(log: Buffer | undefined): string {
  const lines = log?.toString('utf8').replace(/^\([\d.]+\) /gm, '') ?? '';
  return parseCriuVersion(lines);
}

/** The kubelet and its runtimes tell every container its host's name. */
function hostnameOf(spec: OciSpec): string {
  const env = (spec as { process?: { env?: unknown } }).process?.env;
  const line =
    Array.isArray(env) && env.find((each) => typeof each === 'string' && each.startsWith('HOSTNAME='));
  return line ? text((line as string).slice('HOSTNAME='.length)) : '';
}

function json(gathered: Gathered, name: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(gathered.contents.get(name)?.toString('utf8') ?? '{}');
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

/** Kinds of file systems by CRIU's numbers (criu/images/mnt.proto). */
const FSTYPES: Readonly<Record<number, string>> = {
  1: 'proc',
  2: 'sysfs',
  3: 'devtmpfs',
  5: 'tmpfs',
  6: 'devpts',
  9: 'securityfs',
  11: 'debugfs',
  12: 'cgroup',
  14: 'mqueue',
  15: 'fuse',
  17: 'overlay',
  19: 'tracefs',
  23: 'cgroup2',
};

/** As the process saw them; where a mount came from outside, what the container's own configuration says of it. */
function describeMounts(gathered: Gathered, spec: OciSpec): DescribedMount[] {
  const given = Array.isArray(spec.mounts) ? spec.mounts : [];
  const found = imagesNamed(gathered, /^mountpoints-\d+\.img$/).flatMap(({ bytes }) =>
    messages(bytes, 'mountpoints', MntEntry),
  );
  const mounts = found.map((mount): DescribedMount => {
    const bound = given.find((each) => each?.destination === mount.mountpoint && each.type === 'bind');
    return {
      destination: plain(mount.mountpoint),
      type: bound ? 'bind' : (FSTYPES[mount.fstype] ?? text(mount.fsname)) || 'bind',
      source: bound ? text(bound.source) : plain(mount.source),
    };
  });
  return mounts.sort((a, b) => (a.destination < b.destination ? -1 : 1));
}
