import { PodSandboxConfig, Protocol } from '../../../proto/gen/runtime/v1/cri.js';
import { podCgroup, podLimits } from './cgroups.js';
import { seccomp, namespaces } from './security.js';
import { labels } from './labels.js';
import { namespaceOf, specOf, uidOf, type Pod } from './pod.js';

/** Where a pod's container logs lie on the node. */
export const logDirectory = (pod: Pod): string =>
  `/var/log/pods/${namespaceOf(pod)}_${pod.metadata.name}_${uidOf(pod)}`;

/** The sandbox as the kubelet asks the runtime for it. */
export function sandboxConfig(pod: Pod, attempt: number): PodSandboxConfig {
  const spec = specOf(pod);
  const security = spec.securityContext;
  const limits = podLimits(pod);
  return PodSandboxConfig.fromPartial({
    metadata: { name: pod.metadata.name, namespace: namespaceOf(pod), uid: uidOf(pod), attempt },
    hostname: spec.hostNetwork ? '' : hostname(pod),
    logDirectory: logDirectory(pod),
    ...(spec.dnsPolicy === 'None' || spec.dnsConfig
      ? {
          dnsConfig: {
            servers: spec.dnsConfig?.nameservers ?? [],
            searches: spec.dnsConfig?.searches ?? [],
            options: (spec.dnsConfig?.options ?? []).map(({ name, value }) =>
              value ? `${name}:${value}` : (name ?? ''),
            ),
          },
        }
      : {}),
    portMappings: spec.containers
      .flatMap((container) => container.ports ?? [])
      .filter((port) => port.hostPort && !spec.hostNetwork)
      .map((port) => ({
        containerPort: port.containerPort,
        hostPort: port.hostPort ?? 0,
        hostIp: port.hostIP ?? '',
        protocol: port.protocol === 'UDP' ? Protocol.UDP : Protocol.TCP,
      })),
    labels: {
      ...pod.metadata.labels,
      [labels.podName]: pod.metadata.name,
      [labels.podNamespace]: namespaceOf(pod),
      [labels.podUid]: uidOf(pod),
    },
    annotations: {
      ...pod.metadata.annotations,
      'kubernetes.io/config.seen': new Date().toISOString(),
      'kubernetes.io/config.source': 'api',
    },
    linux: {
      cgroupParent: podCgroup(pod),
      sysctls: Object.fromEntries((security?.sysctls ?? []).map(({ name, value }) => [name, value])),
      securityContext: {
        namespaceOptions: namespaces(pod),
        privileged: spec.containers.some((container) => container.securityContext?.privileged),
        seccomp: seccomp(security?.seccompProfile),
        runAsUser: security?.runAsUser === undefined ? undefined : { value: BigInt(security.runAsUser) },
        runAsGroup: security?.runAsGroup === undefined ? undefined : { value: BigInt(security.runAsGroup) },
        supplementalGroups: [
          ...(security?.supplementalGroups ?? []),
          ...(security?.fsGroup === undefined ? [] : [security.fsGroup]),
        ].map(BigInt),
      },
      resources: {
        cpuPeriod: 100_000n,
        cpuQuota: BigInt(limits.cpuQuota),
        cpuShares: BigInt(limits.cpuShares),
        memoryLimitInBytes: BigInt(limits.memory),
      },
    },
  });
}

/** Host names have at most 63 letters (RFC 1123). */
export function hostname(pod: Pod): string {
  return (specOf(pod).hostname ?? pod.metadata.name).slice(0, 63).replace(/[-.]+$/, '');
}
