import { SYSTEM_NAMESPACE } from '../../../common/api/names.js';
import type { Pod } from '../../../common/kube/types.js';
import { Check, type Finding } from '../finding.js';
import { DEPLOYMENT, LEASE } from '../objects.js';
import type { Observed } from '../observed.js';
import { age } from '../../text/duration.js';
import { podProblem } from './pod-problem.js';
import { CONTROLLER_LOGS, INSTALL } from './words.js';

/** A Lease that was not renewed for so many times its duration has nobody who holds it. */
const LOST_AFTER = 3;

export function controller(observed: Observed): Finding[] {
  const check = new Check('controller');
  const { deployment, controllers } = observed;
  if ('hidden' in deployment) return [check.unknown(deployment.hidden)];
  if (!deployment.seen) {
    return [check.fail(`There is no Deployment ${DEPLOYMENT}, so nothing is migrated.`, INSTALL)];
  }
  const { spec, status } = deployment.seen;
  const wanted = spec?.replicas ?? 1;
  const available = status?.availableReplicas ?? 0;
  const why = reasonOf(observed);
  if (available === 0) {
    const hidden = 'hidden' in controllers ? controllers.hidden : undefined;
    const message = `No replica of the controller is available. ${why?.message ?? hidden ?? 'There is no pod of it yet.'}`;
    const commands = why?.commands ?? [`kubectl describe deployment -n ${SYSTEM_NAMESPACE} ${DEPLOYMENT}`];
    return wanted === 0
      ? [
          check.fail(
            `The Deployment ${DEPLOYMENT} is scaled to 0, so nothing is migrated.`,
            `kubectl scale deployment -n ${SYSTEM_NAMESPACE} ${DEPLOYMENT} --replicas=2`,
          ),
        ]
      : [check.fail(message, ...commands)];
  }
  if (available < wanted) {
    const what = `${available} of ${wanted} replicas are available; nobody takes over should one fail.`;
    return [check.warn(why ? `${what} ${why.message}` : what, ...(why?.commands ?? []))];
  }
  // The old replicas stay until the new ones are ready.
  if (why)
    return [
      check.warn(`An update of the controller does not come to its end. ${why.message}`, ...why.commands),
    ];
  return [check.ok(`${available} of ${wanted} replicas available`), ...versions(observed)];
}

/** Why one of its pods is not ready. */
function reasonOf({ controllers, nodes, events, logs }: Observed) {
  if ('hidden' in controllers) return undefined;
  // What is being deleted was replaced, or will be.
  const staying = controllers.seen.filter(({ metadata }) => !metadata.deletionTimestamp);
  for (const pod of staying.length > 0 ? staying : controllers.seen) {
    const node =
      'seen' in nodes ? nodes.seen.find(({ metadata }) => metadata.name === pod.spec?.nodeName) : undefined;
    const problem = podProblem(pod, {
      node,
      events: 'seen' in events ? events.seen : [],
      log: logs.get(pod.metadata.uid ?? '') ?? [],
    });
    if (problem) return problem;
  }
  return undefined;
}

function versions({ plugin, controllers, metrics }: Observed): Finding[] {
  const check = new Check('controller-version');
  if ('hidden' in controllers) return [];
  const asked = controllers.seen.flatMap((pod) => metrics.get(pod.metadata.uid ?? '') ?? []);
  const told = [...new Set(asked.flatMap((one) => ('seen' in one ? (one.seen.version ?? []) : [])))];
  if (told.length === 0) {
    const hidden = asked.find((one) => 'hidden' in one);
    return [
      check.unknown(hidden && 'hidden' in hidden ? hidden.hidden : 'No replica says which version it is.'),
    ];
  }
  if (told.length > 1) {
    return [check.warn(`The replicas have different versions: ${told.join(', ')}.`, rollout)];
  }
  if (told[0] !== plugin.version && plugin.version !== 'dev') {
    return [
      check.warn(
        `The controller has version ${told[0]}, this plugin ${plugin.version}.`,
        'kubectl migrate install # brings the cluster to this version',
      ),
    ];
  }
  return [check.ok(told[0]!)];
}

const rollout = `kubectl rollout restart -n ${SYSTEM_NAMESPACE} deployment/${DEPLOYMENT}`;

/** Of several replicas one acts: the one that holds the Lease. */
export function leader(observed: Observed): Finding[] {
  const check = new Check('leader');
  const { lease, deployment, controllers, now } = observed;
  if ('seen' in deployment && !deployment.seen) return [];
  if ('hidden' in lease) return [check.unknown(lease.hidden)];
  const { holderIdentity = '', renewTime, leaseDurationSeconds = 15 } = lease.seen?.spec ?? {};
  if (!lease.seen || holderIdentity === '') {
    return [
      check.fail(
        `No replica of the controller leads (Lease ${LEASE}), so nothing is migrated.`,
        CONTROLLER_LOGS,
      ),
    ];
  }
  const since = now - Date.parse(renewTime ?? '');
  if (since > LOST_AFTER * leaseDurationSeconds * 1000) {
    return [
      check.fail(
        `The leader ${holderIdentity} has not renewed its Lease ${LEASE} for ${age(since)}, and nobody has taken over.`,
        CONTROLLER_LOGS,
      ),
    ];
  }
  const pod = holderOf(holderIdentity, 'seen' in controllers ? controllers.seen : []);
  return [
    check.ok(
      `${pod?.metadata.name ?? holderIdentity}${pod?.spec?.nodeName ? ` on ${pod.spec.nodeName}` : ''}`,
    ),
  ];
}

/** The identity begins with the pod's name. */
export const holderOf = (identity: string, pods: readonly Pod[]): Pod | undefined =>
  pods.find(({ metadata }) => identity.startsWith(metadata.name));
