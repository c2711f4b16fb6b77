/** The parts of a Pod's spec and status that the server reads or fills in. */
import type { Fields, KubeObject } from '../kube-object.js';

export interface Toleration {
  key?: string;
  operator?: string;
  value?: string;
  effect?: string;
  tolerationSeconds?: number;
}

export interface Taint {
  key: string;
  value?: string;
  effect: string;
  timeAdded?: string;
}

export interface ContainerPort extends Fields {
  name?: string;
  containerPort: number;
  hostPort?: number;
  protocol?: string;
}

export interface Container extends Fields {
  name: string;
  image?: string;
  imagePullPolicy?: string;
  restartPolicy?: string;
  ports?: ContainerPort[];
  env?: Fields[];
  envFrom?: Fields[];
  resources?: { limits?: Record<string, string>; requests?: Record<string, string> };
  volumeMounts?: { name: string; mountPath: string; readOnly?: boolean }[];
  terminationMessagePath?: string;
  terminationMessagePolicy?: string;
}

export interface Volume extends Fields {
  name: string;
}

export interface PodSpec extends Fields {
  nodeName?: string;
  containers: Container[];
  initContainers?: Container[];
  ephemeralContainers?: Container[];
  volumes?: Volume[];
  restartPolicy?: string;
  terminationGracePeriodSeconds?: number;
  dnsPolicy?: string;
  serviceAccountName?: string;
  serviceAccount?: string;
  automountServiceAccountToken?: boolean;
  schedulerName?: string;
  securityContext?: Fields;
  enableServiceLinks?: boolean;
  hostNetwork?: boolean;
  tolerations?: Toleration[];
  nodeSelector?: Record<string, string>;
  affinity?: Fields;
  schedulingGates?: { name: string }[];
  readinessGates?: { conditionType: string }[];
  runtimeClassName?: string;
  overhead?: Record<string, string>;
  priority?: number;
  priorityClassName?: string;
  preemptionPolicy?: string;
  imagePullSecrets?: { name: string }[];
  activeDeadlineSeconds?: number;
}

export interface Condition extends Fields {
  type: string;
  status: string;
  reason?: string;
  message?: string;
  lastTransitionTime?: string | null;
  lastProbeTime?: string | null;
}

export interface ContainerStatus extends Fields {
  name: string;
  ready?: boolean;
  started?: boolean;
  restartCount?: number;
  state?: { waiting?: Fields; running?: Fields; terminated?: Fields };
  lastState?: { terminated?: Fields };
}

export interface PodStatus extends Fields {
  phase?: string;
  reason?: string;
  message?: string;
  podIP?: string;
  nominatedNodeName?: string;
  conditions?: Condition[];
  containerStatuses?: ContainerStatus[];
  initContainerStatuses?: ContainerStatus[];
  qosClass?: string;
}

export interface Pod extends KubeObject {
  spec: PodSpec;
  status?: PodStatus;
}

/** Init containers, then containers, with the field each stands in. */
export function containersOf(spec: PodSpec): { container: Container; field: string; isInit: boolean }[] {
  return [
    ...(spec.initContainers ?? []).map((container, i) => ({
      container,
      field: `spec.initContainers[${i}]`,
      isInit: true,
    })),
    ...(spec.containers ?? []).map((container, i) => ({
      container,
      field: `spec.containers[${i}]`,
      isInit: false,
    })),
  ];
}
