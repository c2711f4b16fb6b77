/** All that doctor looks at, before it is judged. */
import type { PodMigration } from '../../common/api/schema.js';
import type { ConfigMap, CoreEvent, Lease, Namespace, Node, Pod, Secret } from '../../common/kube/types.js';
import type { Seen } from './look.js';
import type { Claim, Crd, DaemonSet, Deployment, RuntimeClass } from './objects.js';

export interface Observed {
  /** What is looked from: this program. */
  plugin: { version: string };
  server: {
    url: string;
    version: string;
    /** How far our clock is ahead of its own; absent when it does not say. */ aheadMs?: number;
  };
  /** Time of day by the API server's clock. */
  now: number;
  crds: {
    expected: Crd[];
    installed: Seen<Crd[]>;
    /** Discovery, which everybody may ask. */ served: Seen<boolean>;
  };
  systemNamespace: Seen<Namespace | undefined>;
  runtimeClass: Seen<RuntimeClass | undefined>;
  deployment: Seen<Deployment | undefined>;
  daemonSet: Seen<DaemonSet | undefined>;
  lease: Seen<Lease | undefined>;
  /** Pods of controller and agents. */
  controllers: Seen<Pod[]>;
  agents: Seen<Pod[]>;
  /** Warnings about objects in the system namespace. */
  events: Seen<CoreEvent[]>;
  /** By the UID of a pod that does not run: the last lines of its log. */
  logs: Map<string, string[]>;
  /** By the UID of a pod that is ready: what it says of itself. */
  metrics: Map<string, Seen<Metrics>>;
  nodes: Seen<Node[]>;
  /** By node: the Lease that its kubelet renews. */
  nodeLeases: Seen<Map<string, Lease>>;
  /** By node: what its kubelet answers when it is asked for a checkpoint of a pod that does not exist. */
  kubelets: Map<string, Seen<KubeletAnswer>>;
  /** Whether the agents may ask kubelets for checkpoints. */
  agentMayCheckpoint: Seen<boolean>;
  /** The authority's ConfigMap, and the Secret with a certificate that was given. */
  authority: Seen<ConfigMap | undefined>;
  given: Seen<Secret | undefined>;
  claim: Seen<Claim | undefined>;
  provisioners: Seen<Pod[]>;
  user: UserRights;
  migrations: Seen<PodMigration[]>;
  /** Events about pods that are frozen and that nobody thaws. */
  frozen: Seen<CoreEvent[]>;
}

export interface KubeletAnswer {
  code: number;
  text: string;
}

/** Samples of Prometheus' text format: without labels, by name; of a build, its version. */
export interface Metrics {
  version?: string;
  values: Map<string, number>;
}

export interface UserRights {
  /** Name and groups; absent when the server does not tell. */
  name?: string;
  namespace: string;
  answers: Seen<RightAnswer[]>;
}

export interface RightAnswer {
  verb: string;
  resource: string;
  namespace?: string;
  allowed: boolean;
}
