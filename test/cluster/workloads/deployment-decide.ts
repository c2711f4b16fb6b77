/** What a Deployment does next: pure. Follows sync.go, rolling.go, recreate.go and deployment_util.go of Kubernetes. */
import type { Pod } from '../../../common/kube/types.js';
import { sameJson } from '../apiserver/kube-object.js';
import { controllerReference } from './claim.js';
import { availability, bounds } from './deployment-bounds.js';
import { revisionOf, withAnnotations, revisionAnnotation } from './deployment-revision.js';
import { isComplete, rolloutStatus, statusOf, type Progress } from './deployment-status.js';
import { templateHash } from './hash.js';
import { byCreation, isFinished } from './pods.js';
import type { Deployment, ReplicaSet } from './types.js';

export type DeploymentAction =
  | { do: 'create'; replicaSet: ReplicaSet; event?: string }
  | { do: 'update'; replicaSet: ReplicaSet; event?: string }
  | { do: 'delete'; replicaSet: ReplicaSet }
  | { do: 'status'; deployment: Deployment };

const hashLabel = 'pod-template-hash';

/** Replicas as the spec asks for them. */
export const asked = (object: Deployment | ReplicaSet): number => object.spec?.replicas ?? 1;

const sum = (sets: ReplicaSet[], of: (rs: ReplicaSet) => number): number =>
  sets.reduce((total, rs) => total + of(rs), 0);

/** Works on one Deployment and its ReplicaSets, collecting what is to be done. */
class Plan {
  readonly actions: DeploymentAction[] = [];
  newSet: ReplicaSet | undefined;
  old: ReplicaSet[];
  progress: Progress | undefined;
  revision: string | undefined;

  constructor(
    readonly deployment: Deployment,
    sets: ReplicaSet[],
    readonly podsOf: Map<string, Pod[]>,
  ) {
    const sorted = [...sets].sort(byCreation);
    this.newSet = sorted.find((rs) => sameTemplate(rs, deployment));
    this.old = sorted.filter((rs) => rs !== this.newSet);
  }

  get all(): ReplicaSet[] {
    return this.newSet ? [...this.old, this.newSet] : this.old;
  }

  /** Brings the annotations of the new ReplicaSet up to date, or makes it. */
  ensureNewSet(create: boolean): void {
    const { deployment } = this;
    const revision = String(Math.max(0, ...this.old.map(revisionOf)) + 1);
    if (this.newSet) {
      const annotated = withAnnotations(deployment, this.newSet, revision, true);
      const minReadySeconds = deployment.spec?.minReadySeconds ?? 0;
      const isSame =
        sameJson(annotated, this.newSet) && (this.newSet.spec?.minReadySeconds ?? 0) === minReadySeconds;
      if (!isSame) {
        const next = { ...annotated, spec: { ...annotated.spec!, minReadySeconds } };
        this.#replace(this.newSet, next);
        this.actions.push({ do: 'update', replicaSet: next });
      }
      this.revision = this.newSet.metadata.annotations?.[revisionAnnotation];
      this.progress = {
        reason: 'FoundNewReplicaSet',
        message: `Found new replica set "${this.newSet.metadata.name}"`,
      };
      return;
    }
    if (!create) return;
    const made = withAnnotations(deployment, newReplicaSet(deployment), revision, false);
    const replicas = newSetReplicas(deployment, this.all, 0);
    this.newSet = { ...made, spec: { ...made.spec!, replicas } };
    const { name } = this.newSet.metadata;
    this.actions.push({
      do: 'create',
      replicaSet: this.newSet,
      ...(replicas > 0 ? { event: `Scaled up replica set ${name} from 0 to ${replicas}` } : {}),
    });
    this.revision = this.newSet.metadata.annotations?.[revisionAnnotation];
    this.progress = { reason: 'NewReplicaSetCreated', message: `Created new replica set "${name}"` };
  }

  /** True when there was something to scale. */
  scale(rs: ReplicaSet, to: number): boolean {
    const from = asked(rs);
    const { max } = bounds(this.deployment);
    const annotations = {
      ...rs.metadata.annotations,
      'deployment.kubernetes.io/desired-replicas': String(asked(this.deployment)),
      'deployment.kubernetes.io/max-replicas': String(max),
    };
    const next = { ...rs, metadata: { ...rs.metadata, annotations }, spec: { ...rs.spec!, replicas: to } };
    if (from === to && sameJson(annotations, rs.metadata.annotations)) return false;
    this.#replace(rs, next);
    const event = `Scaled ${from < to ? 'up' : 'down'} replica set ${rs.metadata.name} from ${from} to ${to}`;
    this.actions.push({ do: 'update', replicaSet: next, ...(from === to ? {} : { event }) });
    return from !== to;
  }

  #replace(rs: ReplicaSet, next: ReplicaSet): void {
    if (rs === this.newSet) this.newSet = next;
    else this.old = this.old.map((one) => (one === rs ? next : one));
  }
}

export function decideDeployment(
  deployment: Deployment,
  sets: ReplicaSet[],
  podsOf: Map<string, Pod[]>,
  nowMs: number,
): DeploymentAction[] {
  const plan = new Plan(deployment, sets, podsOf);
  const isRecreate = deployment.spec?.strategy?.type === 'Recreate';
  const finish = (): DeploymentAction[] => {
    const next = rolloutStatus(deployment, plan.all, plan.newSet, plan.progress, nowMs);
    return [...plan.actions, statusAction(deployment, next, plan.revision)];
  };
  if (deployment.metadata.deletionTimestamp) {
    const status = statusOf(deployment, plan.all, plan.newSet, nowMs);
    return [statusAction(deployment, status, undefined)];
  }
  if (deployment.spec?.paused || isScaling(deployment, plan.all)) {
    plan.ensureNewSet(false);
    scaleAll(plan);
    if (deployment.spec?.paused) cleanUp(plan);
    const status = statusOf(deployment, plan.all, plan.newSet, nowMs);
    return [...plan.actions, statusAction(deployment, status, plan.revision)];
  }
  if (isRecreate) recreate(plan);
  else roll(plan);
  if (isComplete(deployment, statusOf(deployment, plan.all, plan.newSet, nowMs))) cleanUp(plan);
  return finish();
}

function statusAction(
  deployment: Deployment,
  status: NonNullable<Deployment['status']>,
  revision: string | undefined,
): DeploymentAction {
  // The revision goes along with the status, as with the real one.
  const annotations = {
    ...deployment.metadata.annotations,
    ...(revision ? { [revisionAnnotation]: revision } : {}),
  };
  const metadata = {
    ...deployment.metadata,
    ...(Object.keys(annotations).length > 0 ? { annotations } : {}),
  };
  return { do: 'status', deployment: { ...deployment, metadata, status } };
}

/** True while the size that the ReplicaSets were last scaled for is not the one that is asked for. */
function isScaling(deployment: Deployment, sets: ReplicaSet[]): boolean {
  return sets.some((rs) => {
    const desired = rs.metadata.annotations?.['deployment.kubernetes.io/desired-replicas'];
    return asked(rs) > 0 && desired !== undefined && Number(desired) !== asked(deployment);
  });
}

function roll(plan: Plan): void {
  plan.ensureNewSet(true);
  const { deployment, newSet } = plan;
  const isNew = newSet && newSet.metadata.uid === undefined;
  if (!newSet || isNew) return;
  const wanted =
    asked(newSet) > asked(deployment)
      ? asked(deployment)
      : newSetReplicas(deployment, plan.all, asked(newSet));
  if (asked(newSet) !== asked(deployment) && plan.scale(newSet, wanted)) return;
  const oldPods = sum(plan.old, asked);
  if (oldPods === 0) return;
  const { minAvailable } = bounds(deployment);
  const unavailableNew = asked(newSet) - (newSet.status?.availableReplicas ?? 0);
  let room = oldPods + asked(newSet) - minAvailable - unavailableNew;
  if (room <= 0) return;
  // Unhealthy replicas of old sets first: they serve nobody.
  for (const rs of plan.old) {
    const unhealthy = asked(rs) - (rs.status?.availableReplicas ?? 0);
    const count = Math.min(room, unhealthy);
    if (asked(rs) === 0 || count <= 0) continue;
    room -= count;
    plan.scale(rs, asked(rs) - count);
  }
  let spare = sum(plan.all, (rs) => rs.status?.availableReplicas ?? 0) - minAvailable;
  for (const rs of plan.old) {
    const count = Math.min(spare, asked(rs));
    if (count <= 0) continue;
    spare -= count;
    plan.scale(rs, asked(rs) - count);
  }
}

function recreate(plan: Plan): void {
  plan.ensureNewSet(false);
  if (plan.old.some((rs) => asked(rs) > 0)) {
    for (const rs of plan.old) if (asked(rs) > 0) plan.scale(rs, 0);
    return;
  }
  const isRunning = plan.old.some((rs) =>
    (plan.podsOf.get(rs.metadata.uid!) ?? []).some((pod) => !isFinished(pod)),
  );
  if (isRunning) return;
  plan.ensureNewSet(true);
  if (plan.newSet?.metadata.uid) plan.scale(plan.newSet, asked(plan.deployment));
}

/** How many replicas the new set may have now. */
function newSetReplicas(deployment: Deployment, sets: ReplicaSet[], current: number): number {
  if (deployment.spec?.strategy?.type === 'Recreate') return asked(deployment);
  const pods = sum(sets, asked);
  const { max } = bounds(deployment);
  if (pods >= max) return current;
  return current + Math.min(max - pods, asked(deployment) - current);
}

/** A changed size is spread over the sets that have pods, by their share (sync.go, scale). */
function scaleAll(plan: Plan): void {
  const { deployment } = plan;
  const active = plan.all.filter((rs) => asked(rs) > 0);
  const only =
    active.length === 1
      ? active[0]
      : active.length === 0
        ? (plan.newSet ?? plan.old[plan.old.length - 1])
        : undefined;
  if (active.length <= 1) {
    if (only && asked(only) !== asked(deployment)) plan.scale(only, asked(deployment));
    return;
  }
  const { newSet } = plan;
  if (newSet && asked(newSet) === asked(deployment) && availability(newSet) === asked(deployment)) {
    for (const rs of plan.old) if (asked(rs) > 0) plan.scale(rs, 0);
    return;
  }
  if (deployment.spec?.strategy?.type === 'Recreate') return;
  const { max } = bounds(deployment);
  const allowed = asked(deployment) > 0 ? max : 0;
  const toAdd = allowed - sum(active, asked);
  const sorted = [...active].sort(
    (a, b) => asked(b) - asked(a) || (toAdd > 0 ? byCreation(b, a) : byCreation(a, b)),
  );
  let added = 0;
  const sizes = sorted.map((rs) => {
    if (toAdd === 0) return asked(rs);
    const share = proportion(rs, deployment, toAdd, added);
    added += share;
    return asked(rs) + share;
  });
  sorted.forEach((rs, i) => {
    const leftover = i === 0 && toAdd !== 0 ? toAdd - added : 0;
    plan.scale(rs, Math.max(0, sizes[i]! + leftover));
  });
}

function proportion(rs: ReplicaSet, deployment: Deployment, toAdd: number, added: number): number {
  const allowed = toAdd - added;
  if (asked(rs) === 0 || allowed === 0) return 0;
  const annotated = Number(rs.metadata.annotations?.['deployment.kubernetes.io/max-replicas'] ?? 0);
  const before = annotated || (deployment.status?.replicas ?? 0) || asked(deployment);
  const share = Math.round((asked(rs) * bounds(deployment).max) / before) - asked(rs);
  return toAdd > 0 ? Math.min(share, allowed) : Math.max(share, allowed);
}

/** Old sets without pods beyond the history limit go. */
function cleanUp(plan: Plan): void {
  const limit = plan.deployment.spec?.revisionHistoryLimit ?? 10;
  const idle = plan.old.filter((rs) => !rs.metadata.deletionTimestamp);
  const surplus = [...idle]
    .sort((a, b) => revisionOf(a) - revisionOf(b))
    .slice(0, Math.max(0, idle.length - limit));
  for (const rs of surplus) {
    const isSeen = (rs.status?.observedGeneration ?? 0) >= (rs.metadata.generation ?? 0);
    if (asked(rs) === 0 && (rs.status?.replicas ?? 0) === 0 && isSeen) {
      plan.actions.push({ do: 'delete', replicaSet: rs });
    }
  }
}

type Template = { metadata?: { labels?: Record<string, string> }; spec?: unknown };

function sameTemplate(rs: ReplicaSet, deployment: Deployment): boolean {
  const bare = (template: Template): Template => {
    const { [hashLabel]: _hash, ...labels } = template.metadata?.labels ?? {};
    return { ...template, metadata: { ...template.metadata, labels } };
  };
  return sameJson(
    bare((rs.spec?.template ?? {}) as Template),
    bare((deployment.spec?.template ?? {}) as Template),
  );
}

function newReplicaSet(deployment: Deployment): ReplicaSet {
  const template = structuredClone(deployment.spec?.template ?? {}) as Template;
  const hash = templateHash(template, deployment.status?.collisionCount);
  const labels = { ...template.metadata?.labels, [hashLabel]: hash };
  const { selector, minReadySeconds } = deployment.spec!;
  return {
    metadata: {
      name: `${deployment.metadata.name}-${hash}`,
      ...(deployment.metadata.namespace ? { namespace: deployment.metadata.namespace } : {}),
      labels,
      ownerReferences: [controllerReference(deployment, 'apps/v1', 'Deployment')],
    },
    spec: {
      ...(minReadySeconds ? { minReadySeconds } : {}),
      selector: { ...selector, matchLabels: { ...selector.matchLabels, [hashLabel]: hash } },
      template: { ...template, metadata: { ...template.metadata, labels } },
    } as ReplicaSet['spec'],
  } as ReplicaSet;
}
