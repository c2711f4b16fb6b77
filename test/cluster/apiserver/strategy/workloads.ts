/** Deployments, stateful sets and their like: their defaults and rules. test/cluster/workloads/ acts on them. */
import { at, isFields, sameJson, type Fields, type KubeObject } from '../kube-object.js';
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

const deploymentDefaults = workload((spec) => {
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

export const deploymentStrategy: Strategy = {
  ...deploymentDefaults,
  // The revision, an annotation, is written along with the status (registry/apps/deployment/strategy.go).
  statusMayChangeMetadata: true,
  prepareForStatusUpdate(next, old) {
    const { labels: _sent, ...metadata } = next.metadata;
    next.metadata = { ...metadata, ...(old.metadata.labels ? { labels: old.metadata.labels } : {}) };
  },
};

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

const daemonSetDefaults = workload((spec) => {
  spec['revisionHistoryLimit'] ??= 10;
  spec['updateStrategy'] ??= { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 1, maxSurge: 0 } };
});

/** spec.templateGeneration of old, which lives on as an annotation (apis/apps/v1/conversion.go). */
const templateGeneration = 'deprecated.daemonset.template.generation';

export const daemonSetStrategy: Strategy = {
  ...daemonSetDefaults,
  prepareForCreate(object, api, context) {
    daemonSetDefaults.prepareForCreate?.(object, api, context);
    object.metadata.annotations = { ...object.metadata.annotations, [templateGeneration]: '1' };
  },
  prepareForUpdate(next, old, api) {
    daemonSetDefaults.prepareForUpdate?.(next, old, api);
    const before = Number(old.metadata.annotations?.[templateGeneration] ?? 1);
    const isSame = sameJson(at(next.spec, 'template'), at(old.spec, 'template'));
    const generation = String(isSame ? before : before + 1);
    next.metadata.annotations = { ...next.metadata.annotations, [templateGeneration]: generation };
  },
};

const jobDefaults = workload((spec) => {
  // Without completions but with parallelism, any pod's success ends the Job (apis/batch/v1/defaults.go).
  if (spec['completions'] === undefined && spec['parallelism'] === undefined) spec['completions'] = 1;
  spec['parallelism'] ??= 1;
  spec['backoffLimit'] ??= 6;
  spec['completionMode'] ??= 'NonIndexed';
  spec['suspend'] ??= false;
  spec['podReplacementPolicy'] ??= 'TerminatingOrFailed';
}, false);

export const jobStrategy: Strategy = {
  ...jobDefaults,
  prepareForCreate(object, api, context) {
    jobDefaults.prepareForCreate?.(object, api, context);
    const { metadata } = object;
    const spec = object.spec as Fields;
    const template = spec['template'];
    if (!isFields(template) || spec['manualSelector'] === true) return;
    // The old names of the labels are kept for old readers (registry/batch/job/strategy.go, generateSelector).
    const own = {
      'controller-uid': metadata.uid,
      'job-name': metadata.name,
      'batch.kubernetes.io/controller-uid': metadata.uid,
      'batch.kubernetes.io/job-name': metadata.name,
    };
    const labels = { ...(at(template, 'metadata', 'labels') as Record<string, string> | undefined), ...own };
    template['metadata'] = { ...(isFields(template['metadata']) ? template['metadata'] : {}), labels };
    metadata.labels ??= { ...labels } as Record<string, string>;
    spec['selector'] ??= { matchLabels: { 'batch.kubernetes.io/controller-uid': metadata.uid } };
  },
};
