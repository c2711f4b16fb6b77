/** Namespace and RuntimeClass. */
import { RUNTIME_CLASS, SYSTEM_NAMESPACE } from '../../../common/api/names.js';
import { Check, type Finding } from '../finding.js';
import type { Observed } from '../observed.js';
import { INSTALL } from './words.js';

export function systemNamespace({ systemNamespace: found }: Observed): Finding[] {
  const check = new Check('namespace');
  if ('hidden' in found) return [check.unknown(found.hidden)];
  if (!found.seen) return [check.fail(`There is no namespace ${SYSTEM_NAMESPACE}.`, INSTALL)];
  const { metadata, status } = found.seen;
  if (status?.phase === 'Terminating' || metadata.deletionTimestamp) {
    return [
      check.fail(
        `The namespace ${SYSTEM_NAMESPACE} is being deleted.`,
        `kubectl get namespace ${SYSTEM_NAMESPACE} -o yaml # its conditions say what it waits for`,
      ),
    ];
  }
  const level = metadata.labels?.['pod-security.kubernetes.io/enforce'];
  if (level !== 'privileged') {
    return [
      check.warn(
        `The namespace ${SYSTEM_NAMESPACE} has the pod security level ${level ?? 'of the cluster'}; the agents are privileged and need "privileged".`,
        `kubectl label namespace ${SYSTEM_NAMESPACE} pod-security.kubernetes.io/enforce=privileged --overwrite`,
      ),
    ];
  }
  return [check.ok(SYSTEM_NAMESPACE)];
}

export function runtimeClass({ runtimeClass: found }: Observed): Finding[] {
  const check = new Check('runtime-class');
  if ('hidden' in found) return [check.unknown(found.hidden)];
  if (!found.seen) {
    return [check.fail(`There is no RuntimeClass ${RUNTIME_CLASS}, so restored pods are refused.`, INSTALL)];
  }
  const { handler } = found.seen;
  if (handler !== RUNTIME_CLASS) {
    return [
      check.fail(
        `The RuntimeClass ${RUNTIME_CLASS} has the handler ${handler}, not ${RUNTIME_CLASS}; it must be made anew.`,
        `kubectl delete runtimeclass ${RUNTIME_CLASS} && ${INSTALL}`,
      ),
    ];
  }
  return [check.ok(`handler ${handler}`)];
}
