import { createHash, randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ContainerConfig, MountPropagation, type Mount } from '../../../proto/gen/runtime/v1/cri.js';
import { containerLimits, oomScoreAdjust } from './cgroups.js';
import { ConfigError, environment, expand, type PodFacts, type Sources } from './env.js';
import { labels } from './labels.js';
import { containerSecurity } from './security.js';
import { hostname, logDirectory } from './sandbox-config.js';
import { namespaceOf, specOf, uidOf, type ContainerSpec, type Pod } from './pod.js';
import { podDir } from './volumes.js';

export interface ContainerInput {
  pod: Pod;
  container: ContainerSpec;
  /** The image as the runtime's ID or as the pod names it. */
  imageRef: string;
  restartCount: number;
  facts: PodFacts;
  /** Volume name → folder on the node. */
  volumes: ReadonlyMap<string, string>;
  sources: Sources;
  /** Bytes of memory of the node. */
  memoryCapacity: number;
}

/** The container as the kubelet asks the runtime for it; writes the files that only it sees. */
export async function containerConfig(input: ContainerInput): Promise<ContainerConfig> {
  const { pod, container, restartCount } = input;
  const variables = await environment(pod, container, input.facts, input.sources);
  const words = (list: readonly string[] | undefined): string[] =>
    (list ?? []).map((word) => expand(word, variables));
  const limits = containerLimits(container);
  const terminationPath = container.terminationMessagePath ?? '/dev/termination-log';
  mkdirSync(join(logDirectory(pod), container.name), { recursive: true });
  return ContainerConfig.fromPartial({
    metadata: { name: container.name, attempt: restartCount },
    image: { image: input.imageRef, userSpecifiedImage: container.image ?? '' },
    command: words(container.command),
    args: words(container.args),
    workingDir: container.workingDir ?? '',
    envs: [
      ...(specOf(pod).hostNetwork ? [] : [{ key: 'HOSTNAME', value: Buffer.from(hostname(pod)) }]),
      ...[...variables].map(([key, value]) => ({ key, value: Buffer.from(value) })),
    ],
    mounts: [...volumeMounts(input, variables), ...ownMounts(pod, container, input.facts, terminationPath)],
    labels: {
      [labels.containerName]: container.name,
      [labels.podName]: pod.metadata.name,
      [labels.podNamespace]: namespaceOf(pod),
      [labels.podUid]: uidOf(pod),
    },
    annotations: {
      [labels.hash]: createHash('sha256').update(JSON.stringify(container)).digest('hex').slice(0, 8),
      [labels.restartCount]: String(restartCount),
      [labels.terminationMessagePath]: terminationPath,
      [labels.terminationMessagePolicy]: container.terminationMessagePolicy ?? 'File',
      [labels.gracePeriod]: String(specOf(pod).terminationGracePeriodSeconds ?? 30),
    },
    logPath: `${container.name}/${restartCount}.log`,
    stdin: container.stdin ?? false,
    stdinOnce: container.stdinOnce ?? false,
    tty: container.tty ?? false,
    linux: {
      resources: {
        cpuPeriod: 100_000n,
        cpuQuota: BigInt(limits.cpuQuota),
        cpuShares: BigInt(limits.cpuShares),
        memoryLimitInBytes: BigInt(limits.memory),
        oomScoreAdj: BigInt(oomScoreAdjust(pod, container, input.memoryCapacity)),
      },
      securityContext: containerSecurity(pod, container),
    },
  });
}

function volumeMounts(
  { pod, container, volumes }: ContainerInput,
  variables: ReadonlyMap<string, string>,
): Partial<Mount>[] {
  return (container.volumeMounts ?? []).map((mount) => {
    const folder = volumes.get(mount.name);
    if (!folder)
      throw new ConfigError(`cannot find volume "${mount.name}" to mount into container "${container.name}"`);
    const sub = mount.subPathExpr ? expand(mount.subPathExpr, variables) : mount.subPath;
    if (sub && (sub.startsWith('/') || sub.split('/').includes('..'))) {
      throw new ConfigError(`subPath "${sub}" must stay within volume "${mount.name}"`);
    }
    const hostPath = sub ? join(folder, sub) : folder;
    if (sub && !existsSync(hostPath)) mkdirSync(hostPath, { recursive: true });
    const kind = (specOf(pod).volumes ?? []).find(({ name }) => name === mount.name);
    const fixed = kind?.configMap ?? kind?.secret ?? kind?.projected ?? kind?.downwardAPI;
    return {
      hostPath,
      containerPath: mount.mountPath.startsWith('/') ? mount.mountPath : `/${mount.mountPath}`,
      readonly: mount.readOnly ?? fixed !== undefined,
      propagation: propagation(mount.mountPropagation),
    };
  });
}

function propagation(mode: string | undefined): MountPropagation {
  switch (mode) {
    case 'HostToContainer':
      return MountPropagation.PROPAGATION_HOST_TO_CONTAINER;
    case 'Bidirectional':
      return MountPropagation.PROPAGATION_BIDIRECTIONAL;
    default:
      return MountPropagation.PROPAGATION_PRIVATE;
  }
}

/** /etc/hosts, shared by the pod's containers, and the file for the container's last words. */
function ownMounts(
  pod: Pod,
  container: ContainerSpec,
  facts: PodFacts,
  terminationPath: string,
): Partial<Mount>[] {
  const mounts: Partial<Mount>[] = [];
  const mountsHosts = (container.volumeMounts ?? []).some(({ mountPath }) => mountPath === '/etc/hosts');
  if (!specOf(pod).hostNetwork && !mountsHosts) {
    const hosts = join(podDir(uidOf(pod)), 'etc-hosts');
    mkdirSync(dirname(hosts), { recursive: true });
    writeFileSync(hosts, hostsFile(pod, facts.podIp));
    mounts.push({ hostPath: hosts, containerPath: '/etc/hosts' });
  }
  const lastWords = join(podDir(uidOf(pod)), 'containers', container.name, randomBytes(4).toString('hex'));
  mkdirSync(dirname(lastWords), { recursive: true });
  writeFileSync(lastWords, '');
  chmodSync(lastWords, 0o666);
  mounts.push({ hostPath: lastWords, containerPath: terminationPath });
  return mounts;
}

export function hostsFile(pod: Pod, podIp: string): string {
  const lines = [
    '# Kubernetes-managed hosts file.',
    '127.0.0.1\tlocalhost',
    '::1\tlocalhost ip6-localhost ip6-loopback',
    `${podIp}\t${hostname(pod)}`,
  ];
  const aliases = specOf(pod).hostAliases ?? [];
  if (aliases.length > 0) lines.push('', '# Entries added by HostAliases.');
  for (const { ip, hostnames } of aliases) lines.push(`${ip}\t${(hostnames ?? []).join('\t')}`);
  return `${lines.join('\n')}\n`;
}
