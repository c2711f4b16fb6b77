/**
 * spec.preflightOnly: all that a migration looks at before it makes anything, and what was found. Nothing is made here, and
 * no agent is asked to do anything but tell.
 */
import type { PodMigration } from '../../../common/api/schema.js';
import { isoTime } from '../../status/conditions.js';
import { REASON } from '../../status/reasons.js';
import { checks } from '../checks.js';
import type { Draft } from '../draft.js';
import { check, type Answer, type Check } from '../facts.js';
import { weighed } from '../force.js';
import { acceptedCondition, awaitAgents, endedEarly, mayPass, refuse } from '../pending.js';
import type { Rehearsal } from './rehearse.js';

type Shown = NonNullable<NonNullable<PodMigration['status']>['checks']>[number];

/** How often it is looked whether the facts have come. */
const POLL_MS = 100;
/** An agent that is being replaced is waited for so long: whoever only asks wants an answer soon. */
const AGENT_PATIENCE_MS = 40_000;

export function preflight(draft: Draft): void {
  const { migration, facts, rehearsal } = draft.observed;
  draft.phase('Pending');
  if (migration.metadata.deletionTimestamp) return endedEarly(draft);
  if (!facts) return draft.requeue(POLL_MS);
  const verdict = checks(facts);
  const looked = [
    ...verdict.checks,
    ...(rehearsal ? [weighed(targetPodCheck(rehearsal), migration.spec)] : []),
  ];
  const refusals = looked.flatMap((one) => one.refusals);
  const sourceNode = facts.pod?.spec?.nodeName;
  draft.set({
    checks: looked.map(shown),
    ...(rehearsal?.value ? { specChanges: rehearsal.value.changes } : {}),
  });
  const [first] = refusals;
  if (first && mayPass(draft, refusals, AGENT_PATIENCE_MS)) return awaitAgents(draft, first);
  if (first) return refuse(draft, first, refusals, sourceNode);

  const warnings = [...new Set(looked.flatMap((one) => one.warnings))];
  const warned = looked.filter((one) => one.warnings.length > 0).length;
  const message = `Pod ${migration.spec.podName} can be migrated: ${looked.length} checks passed${warned > 0 ? `, ${warned} of them with a warning` : ''}. Nothing was changed.`;
  draft.phase('Succeeded');
  acceptedCondition(draft, verdict);
  draft.condition('Complete', 'True', REASON.Succeeded, message);
  draft.set({
    message,
    observedGeneration: migration.metadata.generation ?? 1,
    completionTime: isoTime(draft.now),
    ...(warnings.length > 0 ? { warnings } : {}),
    ...(sourceNode ? { sourceNode } : {}),
    ...(migration.spec.targetNode ? { targetNode: migration.spec.targetNode } : {}),
  });
}

function targetPodCheck({ value, failure }: Answer<Rehearsal>): Check {
  if (failure) {
    const { reason, message, hint } = failure;
    return check('TargetPod', '', { refusals: [{ reason, message, hint }] });
  }
  const { name, differences, untried } = value;
  if (differences.length > 0) {
    return check('TargetPod', '', {
      refusals: [
        {
          reason: 'TargetPodChanged',
          message: `Pod ${name} would be changed while it is created: ${differences.slice(0, 5).join('; ')}.`,
          hint: 'An admission webhook or policy of the cluster does that: exempt pods with the annotation lpm.my.domain/migration from it.',
        },
      ],
    });
  }
  return check('TargetPod', `The API server would accept pod ${name}.`, {
    warnings: untried ? [`Whether the API server accepts pod ${name} could not be tried: ${untried}`] : [],
  });
}

function shown({ name, passed, refusals, warnings }: Check): Shown {
  const [first] = refusals;
  const messages = [...refusals.map(({ message }) => message), ...warnings];
  const hints = [...new Set(refusals.map(({ hint }) => hint).filter(Boolean))];
  return {
    name,
    status: first ? 'Fail' : warnings.length > 0 ? 'Warn' : 'Pass',
    ...(first ? { reason: first.reason } : {}),
    message: messages.length > 0 ? messages.join(' ') : passed,
    ...(hints.length > 0 ? { hint: hints.join(' ') } : {}),
  };
}
