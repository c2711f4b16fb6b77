/** Migrations that wait for a person, and what stands still although nobody works on it any more. */
import { AGENT_LABEL, SYSTEM_NAMESPACE } from '../../../common/api/names.js';
import type { PodMigration } from '../../../common/api/schema.js';
import type { Node } from '../../../common/kube/types.js';
import { decisions, isOver, stuckOf } from '../../progress/stuck.js';
import { sentence } from '../../progress/summary.js';
import { printable } from '../../text/printable.js';
import { Check, type Finding } from '../finding.js';
import type { Observed } from '../observed.js';
import { CONTROLLER_LOGS } from './words.js';

/** An event about something that is frozen comes again every few minutes for as long as it is. */
const FRESH_MS = 15 * 60_000;

export function migrations(observed: Observed): Finding[] {
  const check = new Check('migrations');
  const { migrations: found } = observed;
  if ('hidden' in found) return [check.unknown(found.hidden)];
  const active = found.seen.filter(({ status = {} }) => !isOver(status));
  const stuck = active.flatMap((migration) => {
    const what = stuckOf(migration);
    if (!what) return [];
    const { name, namespace = 'default' } = migration.metadata;
    const advice = decisions(migration, what.sides);
    return [
      check.fail(
        printable(
          `The migration ${namespace}/${name} is stuck, its pod frozen: ${sentence(what.what)} ${what.check}`.trim(),
        ),
        ...(advice.length > 0 ? advice : [`kubectl migrate status ${name} -n ${namespace}`]),
      ),
    ];
  });
  if (stuck.length > 0) return stuck;
  const late = active.filter((migration) => isLate(migration, observed.now));
  if (late.length > 0) {
    return late.map(({ metadata: { name, namespace = 'default' } }) =>
      check.fail(
        `The migration ${namespace}/${name} should have ended long ago (spec.timeoutSeconds); does the controller work?`,
        `kubectl migrate status ${name} -n ${namespace}`,
        CONTROLLER_LOGS,
      ),
    );
  }
  return [check.ok(active.length === 0 ? 'none under way' : `${active.length} under way`)];
}

/** Twice its time is over, and it has not even said that it is stuck. */
function isLate({ metadata, spec, status }: PodMigration, now: number): boolean {
  const begun = Date.parse(status?.startTime ?? metadata.creationTimestamp ?? '');
  return now - begun > 2 * (spec.timeoutSeconds ?? 600) * 1000;
}

export function frozen(observed: Observed, nodes: readonly Node[]): Finding[] {
  const check = new Check('frozen');
  const told = byEvents(observed, check);
  const counted = nodes.flatMap((node) => byMetrics(observed, check, node.metadata.name));
  const found = [...told, ...counted];
  if (found.length > 0) return found;
  if ('hidden' in observed.frozen) return [check.unknown(observed.frozen.hidden)];
  return [check.ok('nothing that nobody works on')];
}

/** The controller looks for such pods and says so by events on them (controller/sweep). */
function byEvents({ frozen: events, now }: Observed, check: Check): Finding[] {
  if ('hidden' in events) return [];
  const latest = new Map(
    events.seen
      .filter(
        (event) => now - Date.parse(event.lastTimestamp ?? event.metadata.creationTimestamp ?? '') < FRESH_MS,
      )
      .map((event) => [event.involvedObject.uid ?? '', event]),
  );
  return [...latest.values()].map(({ involvedObject, message }) =>
    check.fail(
      printable(
        `The pod ${involvedObject.namespace}/${involvedObject.name} stands still: ${sentence(message ?? '')}`,
      ),
      `kubectl describe pod -n ${involvedObject.namespace} ${involvedObject.name}`,
      `kubectl delete pod -n ${involvedObject.namespace} ${involvedObject.name} # ends it; its state is lost`,
    ),
  );
}

/** What an agent counts as frozen although no migration or checkpoint has to do with its node. */
function byMetrics({ agents, metrics, migrations: found }: Observed, check: Check, node: string): Finding[] {
  if ('hidden' in agents || 'hidden' in found) return [];
  const busy = found.seen.some(
    ({ status = {}, spec }) =>
      !isOver(status) && [status.sourceNode, status.targetNode, spec.targetNode].includes(node),
  );
  if (busy) return [];
  const pod = agents.seen.find(({ spec }) => spec?.nodeName === node);
  const told = metrics.get(pod?.metadata.uid ?? '');
  const count = told && 'seen' in told ? (told.seen.values.get('lpm_agent_frozen_containers') ?? 0) : 0;
  if (!(count > 0)) return [];
  return [
    check
      .on(node)
      .warn(
        `${count === 1 ? 'A container is' : `${count} containers are`} frozen on this node, and no migration has to do with it: a checkpoint may be under way, or something else has paused it.`,
        'kubectl checkpoint list -A',
        `kubectl logs -n ${SYSTEM_NAMESPACE} -l ${AGENT_LABEL} --prefix --tail=50`,
      ),
  ];
}
