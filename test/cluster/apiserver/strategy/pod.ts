import type { KubeObject } from '../kube-object.js';
import type { Pod } from '../resources/pod-types.js';
import type { Strategy } from '../resources/resource.js';
import { admitPod } from './pod-admission.js';
import { qosClass } from './pod-qos.js';
import { validatePod, validatePodUpdate } from './pod-validation.js';

function isFinished(pod: Pod): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
}

export const podStrategy: Strategy = {
  returnsDeletedObject: true,
  statusMayChangeMetadata: true,

  prepareForCreate(object, api) {
    const pod = object as Pod;
    pod.spec ??= { containers: [] };
    admitPod(api, pod);
    pod.spec.enableServiceLinks ??= true;
    pod.status = { phase: 'Pending', qosClass: qosClass(pod.spec) };
    if (pod.spec.schedulingGates?.length) {
      pod.status.conditions = [
        {
          type: 'PodScheduled',
          status: 'False',
          reason: 'SchedulingGated',
          message: 'Scheduling is blocked due to non-empty scheduling gates',
          lastProbeTime: null,
          lastTransitionTime: null,
        },
      ];
    }
  },

  validate: (object) => validatePod(object as Pod),

  prepareForUpdate(next, old) {
    const pod = next as Pod;
    // Old clients leave out what admission added; the real server defaults it from the deprecated twin.
    pod.spec.serviceAccountName ??= (old as Pod).spec.serviceAccountName!;
    pod.spec.serviceAccount = pod.spec.serviceAccountName;
  },

  validateUpdate: (next, old) => validatePodUpdate(next as Pod, old as Pod),

  prepareForStatusUpdate(next, old) {
    const pod = next as Pod;
    pod.status = {
      ...pod.status,
      qosClass: pod.status?.qosClass ?? (old as Pod).status?.qosClass ?? qosClass(pod.spec),
    };
  },

  /** k8s.io/kubernetes/pkg/registry/core/pod, CheckGracefulDelete */
  deletionGrace(object: KubeObject, requested: number | undefined): number {
    const pod = object as Pod;
    let period = requested ?? pod.spec.terminationGracePeriodSeconds ?? 30;
    // Nothing runs yet, or nothing any more: there is nobody to wait for.
    if (!pod.spec.nodeName || isFinished(pod)) period = 0;
    return period < 0 ? 1 : period;
  },
};
