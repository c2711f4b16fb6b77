import {
  NamespaceMode,
  SecurityProfile_ProfileType,
  type LinuxContainerSecurityContext,
  type NamespaceOption,
  type SecurityProfile,
} from '../../../proto/gen/runtime/v1/cri.js';
import { ConfigError } from './env.js';
import { specOf, type ContainerSpec, type Pod } from './pod.js';

/** Which namespaces the pod's containers share, and with whom. */
export function namespaces(pod: Pod): NamespaceOption {
  const spec = specOf(pod);
  return {
    network: spec.hostNetwork ? NamespaceMode.NODE : NamespaceMode.POD,
    pid: spec.hostPID
      ? NamespaceMode.NODE
      : spec.shareProcessNamespace
        ? NamespaceMode.POD
        : NamespaceMode.CONTAINER,
    ipc: spec.hostIPC ? NamespaceMode.NODE : NamespaceMode.POD,
    targetId: '',
  };
}

/** No profile means unconfined: the kubelet's default without --seccomp-default. */
export function seccomp(profile: { type: string; localhostProfile?: string } | undefined): SecurityProfile {
  switch (profile?.type) {
    case 'RuntimeDefault':
      return { profileType: SecurityProfile_ProfileType.RuntimeDefault, localhostRef: '' };
    case 'Localhost':
      return {
        profileType: SecurityProfile_ProfileType.Localhost,
        localhostRef: `/var/lib/kubelet/seccomp/${profile.localhostProfile ?? ''}`,
      };
    default:
      return { profileType: SecurityProfile_ProfileType.Unconfined, localhostRef: '' };
  }
}

/** Paths of /proc and /sys that containers do not see or cannot write (procMount: Default). */
const maskedPaths = [
  '/proc/asound',
  '/proc/acpi',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
];
const readonlyPaths = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

/** A container's securityContext over its pod's. @throws ConfigError when it must not run as root and would. */
export function containerSecurity(pod: Pod, container: ContainerSpec): LinuxContainerSecurityContext {
  const spec = specOf(pod);
  const outer = spec.securityContext;
  const own = container.securityContext;
  const user = own?.runAsUser ?? outer?.runAsUser;
  const userGroup = own?.runAsGroup ?? outer?.runAsGroup;
  const privileged = own?.privileged ?? false;
  if ((own?.runAsNonRoot ?? outer?.runAsNonRoot) && user === 0) {
    throw new ConfigError("container's runAsUser breaks non-root policy");
  }
  const withPrefix = (names: string[] | undefined): string[] =>
    (names ?? []).map((name) => name.toUpperCase());
  return {
    capabilities: {
      addCapabilities: withPrefix(own?.capabilities?.add),
      dropCapabilities: withPrefix(own?.capabilities?.drop),
    },
    privileged,
    namespaceOptions: namespaces(pod),
    runAsUser: user === undefined ? undefined : { value: BigInt(user) },
    // A group alone is refused by the CRI.
    runAsGroup: userGroup === undefined || user === undefined ? undefined : { value: BigInt(userGroup) },
    runAsUsername: '',
    readonlyRootfs: own?.readOnlyRootFilesystem ?? false,
    supplementalGroups: [
      ...(outer?.supplementalGroups ?? []),
      ...(outer?.fsGroup === undefined ? [] : [outer.fsGroup]),
    ].map(BigInt),
    noNewPrivs: own?.allowPrivilegeEscalation === false && !privileged,
    maskedPaths: privileged ? [] : maskedPaths,
    readonlyPaths: privileged ? [] : readonlyPaths,
    seccomp: privileged ? undefined : seccomp(own?.seccompProfile ?? outer?.seccompProfile),
    apparmor: undefined,
  };
}
