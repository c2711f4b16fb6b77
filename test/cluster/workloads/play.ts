/** Plays a scenario in a new namespace of a cluster and tells what happened there. */
import { setTimeout as pause } from 'node:timers/promises';
import type { KubeClient } from '../../../common/kube/client.js';
import type { KubeObject, Pod } from '../../../common/kube/types.js';
import { until } from '../../support/until.js';
import { at } from '../apiserver/kube-object.js';
import { describe, type Recording } from './describe.js';
import { Observer } from './observer.js';
import { Roles } from './roles.js';
import { workloadClients, type WorkloadClients } from './types.js';

/** What the steps of a scenario act with. */
export class Stage {
  readonly clients: WorkloadClients;

  constructor(
    readonly client: KubeClient,
    readonly namespace: string,
    readonly seen: Observer,
  ) {
    this.clients = workloadClients(client);
  }

  /** The pod of a role (p1 is the first that was created). */
  pod(role: string): Pod {
    const roles = new Roles(this.seen.changes());
    const pod = this.seen.list<Pod>('Pod').find((one) => roles.of('Pod', one.metadata.name) === role);
    if (!pod) throw new Error(`there is no pod ${role}`);
    return pod;
  }

  pods(): Pod[] {
    return this.seen.list<Pod>('Pod');
  }

  readyPods(): Pod[] {
    return this.pods().filter((pod) => !pod.metadata.deletionTimestamp && isReady(pod));
  }

  patchPod(role: string, patch: object): Promise<unknown> {
    return this.clients.pods.patch(this.pod(role).metadata.name, this.namespace, patch);
  }

  deletePod(role: string): Promise<void> {
    return this.clients.pods.delete(this.pod(role).metadata.name, this.namespace);
  }

  /** Sets the condition of the readiness gate that a scenario's pods may have. */
  openGate(role: string, status: 'True' | 'False'): Promise<unknown> {
    return this.clients.pods.patch(
      this.pod(role).metadata.name,
      this.namespace,
      { status: { conditions: [{ type: gate, status }] } },
      { type: 'strategic', subresource: 'status' },
    );
  }

  /** A field of an object as it was last seen; undefined without the object. */
  field(kind: string, name: string, ...path: string[]): unknown {
    return at(this.seen.get(kind, name), ...path);
  }

  /** The status of one condition. */
  condition(kind: string, name: string, type: string): string | undefined {
    const conditions = this.field(kind, name, 'status', 'conditions') as
      { type: string; status: string }[] | undefined;
    return conditions?.find((one) => one.type === type)?.status;
  }

  /** True when the controller has seen the last change of the object's spec. */
  isObserved(kind: string, name: string): boolean {
    return (
      this.field(kind, name, 'metadata', 'generation') ===
      this.field(kind, name, 'status', 'observedGeneration')
    );
  }
}

/** The readiness gate by which a scenario says itself when a pod is ready. */
export const gate = 'example.com/gate';

export interface Step {
  title: string;
  act(stage: Stage): Promise<unknown>;
  /** When the step has come to its end. */
  until(stage: Stage): boolean;
}

/** What pods go through that is worth telling where its order is certain. */
export type Mark = 'ready' | 'unready' | 'gone' | 'ended' | 'finished' | 'endpoints';

export interface Scenario {
  name: string;
  /** What it shows. */
  about: string;
  marks: Mark[];
  /** True when it is chance which of several equal pods is chosen: then p1, p2, … are all the same. */
  equalPods?: boolean;
  steps: Step[];
}

export interface PlayOptions {
  /** How long nothing may happen until a step counts as over (milliseconds). */
  quietMs: number;
  stepTimeoutMs: number;
  /** Recorded as the origin. */
  origin: string;
}

export async function play(client: KubeClient, scenario: Scenario, options: PlayOptions): Promise<Recording> {
  const namespace = `play-${scenario.name}-${Date.now().toString(36)}`;
  await client.namespaces.create({ metadata: { name: namespace } });
  const seen = new Observer(client, namespace);
  try {
    await until('the namespace has its ServiceAccount', async () => {
      const path = `/api/v1/namespaces/${namespace}/serviceaccounts/default`;
      return (await client.json<KubeObject>('GET', path)) !== undefined;
    });
    await seen.start();
    const stage = new Stage(client, namespace, seen);
    const ends: number[] = [];
    const objects: Map<string, KubeObject[]>[] = [];
    for (const step of scenario.steps) {
      await step.act(stage);
      await until(`${scenario.name}: ${step.title}`, () => step.until(stage), {
        timeoutMs: options.stepTimeoutMs,
        everyMs: 20,
      });
      seen.lastChangeMs = Date.now();
      while (Date.now() - seen.lastChangeMs < options.quietMs || !step.until(stage)) await pause(20);
      ends.push(seen.changes().length);
      objects.push(new Map(told.map((kind) => [kind, seen.list(kind)])));
    }
    return describe(scenario, options.origin, seen.changes(), ends, objects);
  } finally {
    await client.namespaces.delete(namespace);
    await seen.stop();
  }
}

/** Kinds whose state at the end of a step is told. */
const told = [
  'Deployment',
  'ReplicaSet',
  'StatefulSet',
  'DaemonSet',
  'ControllerRevision',
  'Job',
  'Pod',
  'Endpoints',
  'EndpointSlice',
  'PodDisruptionBudget',
  'ResourceQuota',
];

function isReady(pod: Pod): boolean {
  return pod.status?.conditions?.some((one) => one.type === 'Ready' && one.status === 'True') ?? false;
}
