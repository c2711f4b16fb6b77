/** What must be known about a migration before it is accepted, collected by observe.ts and judged by checks.ts. */
import type { PodMigration } from '../../common/api/schema.js';
import type { Node, Pod } from '../../common/kube/types.js';
import type { Reason } from '../../common/errors.js';
import type { ContainerFacts, GetNodeInfoResponse } from '../../proto/gen/lpm/v1/agent.js';
import type { Failure } from '../agents/failure.js';

/** An answer, or why there is none. */
export type Answer<T> = { value: T; failure?: undefined } | { failure: Failure; value?: undefined };

export interface NodeFacts {
  name: string;
  /** Undefined: there is no node of that name. */
  node: Node | undefined;
  /** Undefined: not asked. */
  agent?: Answer<GetNodeInfoResponse>;
  /** Of an agent that does not answer: a sentence about its pod, which is just being replaced or started. */
  agentComes?: string;
}

export interface MigrationFacts {
  migration: PodMigration;
  /** The source pod; undefined when there is none. */
  pod: Pod | undefined;
  /** Names of the pods in its namespace. */
  podNames: string[];
  /** Names of all nodes. */
  nodeNames: string[];
  source?: NodeFacts;
  /** The node that was asked for, or all that the scheduler may choose from. */
  targets: NodeFacts[];
  /** What the source agent says of the pod's containers. */
  inspection?: Answer<ContainerFacts[]>;
  /** Other migrations in the namespace that have not ended. */
  otherMigrations: PodMigration[];
  /** Names of PodCheckpoints and ContainerCheckpoints of users that freeze this pod at the moment. */
  runningCheckpoints: string[];
}

export interface Refusal {
  reason: Reason;
  message: string;
  hint: string;
  /** A sentence on what is risked where spec.force overrides it; without one nothing does. */
  risk?: string;
  /** It is over by itself in a moment: an agent is just being replaced. */
  passing?: true;
}

export interface Findings {
  refusals: Refusal[];
  warnings: string[];
}

export const refusal = (reason: Reason, message: string, hint = ''): Refusal => ({ reason, message, hint });

/** There are reasons, and all of them are over by themselves in a moment. */
export const onlyPassing = (refusals: readonly Refusal[]): boolean =>
  refusals.length > 0 && refusals.every(({ passing }) => passing);

/** What an agent answered, as a reason. One that answered before and cannot be reached now is looked for again. */
export const refusalOf = ({ reason, message, hint }: Failure): Refusal => ({
  reason,
  message,
  hint,
  ...(reason === 'AgentNotReachable' ? { passing: true } : {}),
});

/** What is looked at, each by the name under which status.checks tells how it went. */
export const CHECKS = [
  'Pod',
  'Owner',
  'Containers',
  'Sandbox',
  'Volumes',
  'LivenessProbes',
  'Readiness',
  'Idle',
  'RestoredName',
  'SourceNode',
  'Room',
  'Processes',
  'Connections',
  'TargetNode',
  'NodesAlike',
  'TargetPod',
] as const;
export type CheckName = (typeof CHECKS)[number];

export interface Check extends Findings {
  name: CheckName;
  /** What is said when nothing speaks against it. */
  passed: string;
}

export const check = (name: CheckName, passed: string, ...findings: Partial<Findings>[]): Check => ({
  name,
  passed,
  refusals: findings.flatMap(({ refusals = [] }) => refusals),
  warnings: findings.flatMap(({ warnings = [] }) => warnings),
});
