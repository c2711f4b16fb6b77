/** Deployments, stateful sets and their like. They are stored with their defaults; no controller acts on them. */
import { at, isFields, type Fields, type KubeObject } from '../kube-object.js';
import type { PodSpec } from '../resources/pod-types.js';
import type { Strategy } from '../resources/resource.js';
import { fieldError, type FieldError } from '../status-error.js';
import { immutable } from '../validation/metadata.js';
import { defaultPodSpec } from './pod-defaults.js';
import { validatePodSpec } from './pod-validation.js';

type Defaults = (spec: Fields, object: KubeObject) => void;

function workload(defaults: Defaults, selectorIsFixed = true): Strategy {
  const prepare = (object: KubeObject) => {
    const spec = isFields(object.spec) ? object.spec : {};
    object.spec = spec;
    defaults(spec, object);
    const podSpec = at(spec, 'template', 'spec');
    if (isFields(podSpec)) defaultPodSpec(podSpec as PodSpec);
  };
  return {
    prepareForCreate(object) {
      prepare(object);
      object.status = {};
    },
    prepareForUpdate: prepare,
    validate: workloadErrors,
    validateUpdate: (next, old) => [
      ...workloadErrors(next),
      ...(selectorIsFixed
        ? immutable(at(next.spec, 'selector'), at(old.spec, 'selector'), 'spec.selector')
        : []),
    ],
  };
}

function workloadErrors(object: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const labels = at(object.spec, 'template', 'metadata', 'labels');
  const wanted = at(object.spec, 'selector', 'matchLabels');
  if (object.kind !== 'Job') {
    if (!isFields(at(object.spec, 'selector'))) errors.push(fieldError.required('spec.selector'));
    else if (isFields(wanted)) {
      const matches = Object.entries(wanted).every(([key, value]) => at(labels, key) === value);
      if (!matches) {
        errors.push(
          fieldError.invalid(
            'spec.template.metadata.labels',
            labels ?? null,
            '`selector` does not match template `labels`',
          ),
        );
      }
    }
  }
  const podSpec = at(object.spec, 'template', 'spec');
  if (isFields(podSpec)) errors.push(...validatePodSpec(podSpec as PodSpec, 'spec.template.spec'));
  else errors.push(fieldError.required('spec.template.spec.containers'));
  return errors;
}

export const deploymentStrategy = workload((spec) => {
  spec['replicas'] ??= 1;
  spec['revisionHistoryLimit'] ??= 10;
  spec['progressDeadlineSeconds'] ??= 600;
  const strategy = isFields(spec['strategy']) ? spec['strategy'] : {};
  spec['strategy'] = strategy;
  strategy['type'] ??= 'RollingUpdate';
  if (strategy['type'] === 'RollingUpdate') {
    strategy['rollingUpdate'] = {
      maxUnavailable: '25%',
      maxSurge: '25%',
      ...(isFields(strategy['rollingUpdate']) ? strategy['rollingUpdate'] : {}),
    };
  }
});

export const replicaSetStrategy = workload((spec) => {
  spec['replicas'] ??= 1;
});

export const statefulSetStrategy = workload((spec) => {
  spec['replicas'] ??= 1;
  spec['revisionHistoryLimit'] ??= 10;
  spec['podManagementPolicy'] ??= 'OrderedReady';
  spec['serviceName'] ??= '';
  spec['updateStrategy'] ??= { type: 'RollingUpdate', rollingUpdate: { partition: 0 } };
  spec['persistentVolumeClaimRetentionPolicy'] ??= { whenDeleted: 'Retain', whenScaled: 'Retain' };
});

export const daemonSetStrategy = workload((spec) => {
  spec['revisionHistoryLimit'] ??= 10;
  spec['updateStrategy'] ??= { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 1, maxSurge: 0 } };
});

export const jobStrategy = workload((spec, object) => {
  spec['parallelism'] ??= 1;
  spec['completions'] ??= 1;
  spec['backoffLimit'] ??= 6;
  spec['completionMode'] ??= 'NonIndexed';
  spec['suspend'] ??= false;
  spec['podReplacementPolicy'] ??= 'TerminatingOrFailed';
  if (spec['selector'] === undefined && object.metadata.uid) {
    spec['selector'] = { matchLabels: { 'batch.kubernetes.io/controller-uid': object.metadata.uid } };
  }
}, false);
