/** What a person must know before deciding, as it is said on the screen. Pure. */
import type { Side } from '../../common/api/resolution.js';
import type { PodMigration } from '../../common/api/schema.js';
import type { Caller } from '../checks/judge.js';
import { conditionOf, secondsTime, type Stuck } from '../progress/stuck.js';
import { amountOfTime } from '../text/duration.js';

export interface Stakes {
  /** What is going on, and how to check it. */
  lines: string[];
  /** What happens when the other side is not as the person says. */
  warning: string;
}

/** `now` in milliseconds since the epoch. */
export function stakes(
  caller: Pick<Caller, 'again'>,
  migration: PodMigration,
  stuck: Stuck,
  side: Side,
  now: number,
): Stakes {
  const { metadata, spec, status = {} } = migration;
  const pod = `${metadata.namespace ?? 'default'}/${spec.podName}`;
  const source = { pod: spec.podName, node: status.sourceNode ?? 'the source' };
  const target = {
    pod: status.restoredPodName ?? 'the restored pod',
    node: status.targetNode ?? 'the target',
  };
  const long = Number.isNaN(stuck.since)
    ? ''
    : ` since ${secondsTime(stuck.since)} (${amountOfTime(Math.max(0, now - stuck.since))})`;
  const begin = [
    `The migration ${metadata.name} of pod ${pod} is stuck${long}.`,
    `  ${stuck.what}`,
    ...(stuck.check ? [`  ${stuck.check}`] : []),
  ];
  const right = `That is right only if ${stuck.sides[side] ?? 'you know better than the nodes'}.`;
  if (stuck.reason === 'SourceRemains') {
    return {
      lines: [
        ...begin,
        `If you keep the target: the migration ends without waiting for the object of pod ${source.pod}, which is removed by force unless it has finalizers.`,
        right,
        'Check it first:',
        `  ${caller.again(`kubectl describe pod ${source.pod}`)}`,
      ],
      warning: `No copy is at stake: pod ${source.pod} has no process any more. But what the kubelet of node ${source.node} still holds of it, such as a mounted volume, may stay behind there.`,
    };
  }
  // Both ways are open only as long as the target has not said whether it executes; otherwise it is the source that is silent.
  const silent = stuck.sides.Source !== undefined && stuck.sides.Target !== undefined ? target : source;
  return {
    lines: [
      ...begin,
      `Node ${silent.node} cannot be asked what became of pod ${silent.pod} there.`,
      `If you keep the ${side.toLowerCase()}: ${effect(side, silent === target, source, target)}`,
      right,
      'Check it first:',
      `  ${caller.again(`kubectl get node ${silent.node}`)}`,
      `  Look at the machine itself. A node that does not answer may well be running; if in doubt, switch it off.`,
    ],
    warning: risk(
      side,
      silent === target,
      source,
      target,
      conditionOf(status, 'Committed')?.status === 'True',
    ),
  };
}

interface Place {
  pod: string;
  node: string;
}

function effect(side: Side, targetSilent: boolean, source: Place, target: Place): string {
  if (side === 'Target') {
    return `pod ${target.pod} on node ${target.node} is the pod from now on, and pod ${source.pod} on node ${source.node} is ended and deleted.`;
  }
  return targetSilent
    ? `pod ${source.pod} runs on on node ${source.node}, and pod ${target.pod} is deleted by force.`
    : `the migration ends as failed without waiting for node ${source.node}; pod ${source.pod} stays frozen there until the node is back and thaws it.`;
}

function risk(side: Side, targetSilent: boolean, source: Place, target: Place, committed: boolean): string {
  if (side === 'Target') {
    return committed
      ? `If processes of pod ${source.pod} can still run on node ${source.node}, TWO copies run until that node is back and ends them.`
      : `If pod ${target.pod} does not run on node ${target.node}, NO copy is left: the source is ended all the same.`;
  }
  return targetSilent
    ? `If processes of pod ${target.pod} run on node ${target.node}, or begin to, TWO copies run.`
    : `If node ${source.node} does not come back, NO copy is left: nothing of the pod runs elsewhere.`;
}
