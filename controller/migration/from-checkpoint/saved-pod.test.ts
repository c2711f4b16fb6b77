import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ANNOTATION } from '../../../common/api/names.js';
import type { Pod } from '../../../common/kube/types.js';
import { binding } from '../../checkpoint/bound.js';
import { aSaved, bindingFactsOf } from '../../checkpoint/bound.testing.js';
import { aMigration, aPod } from '../build.testing.js';
import { checkpointedPod, restoredPod, twinsOf } from './saved-pod.js';

const nightly = { kind: 'PodCheckpoint', namespace: 'default', name: 'nightly' } as const;
const migration = aMigration({ fromCheckpoint: nightly });
const bound = binding(nightly, bindingFactsOf(aSaved())).bound!;
const plan = { name: 'counter-restored', nodeName: 'k8s-master' };
const saved = (labels: Record<string, string>): Pod => {
  const pod = checkpointedPod(bound)!;
  return { ...pod, metadata: { ...pod.metadata, labels } };
};

test('with the original gone its labels are kept, but for those by which its owner would know it', () => {
  const { pod, changes } = restoredPod(
    saved({ app: 'web', 'pod-template-hash': 'abc', 'batch.kubernetes.io/job-name': 'x' }),
    migration,
    plan,
    [],
  );
  assert.deepEqual(pod.metadata.labels, { app: 'web' });
  assert.match(
    changes.at(-1)!,
    /^Without the labels pod-template-hash=abc batch\.kubernetes\.io\/job-name=x: .*former owner/,
  );
  assert.equal(pod.metadata.ownerReferences, undefined);
  assert.equal(pod.metadata.annotations?.[ANNOTATION.sourcePodUid], bound.podUID);
});

test('while the original runs no label is kept, and it is said how to give them back', () => {
  const { pod, changes } = restoredPod(saved({ app: 'web' }), migration, plan, ['counter']);
  assert.equal(pod.metadata.labels, undefined);
  assert.match(changes.at(-1)!, /kubectl label pod counter-restored app=web\.$/);
});

test('twins are the pod itself and what was restored from it; not one that has ended, is ours or has only its name', () => {
  const pod = (change: (pod: Pod) => void) => aPod(change);
  const restored = (name: string, annotations: Record<string, string>) =>
    pod(({ metadata }) => Object.assign(metadata, { name, uid: `uid-of-${name}`, annotations }));
  const pods = [
    aPod(),
    restored('counter-restored', { [ANNOTATION.migration]: 'other', [ANNOTATION.origin]: 'counter' }),
    restored('ours', { [ANNOTATION.migration]: migration.metadata.uid!, [ANNOTATION.origin]: 'counter' }),
    restored('namesake', {}),
    pod(({ metadata }) => Object.assign(metadata, { name: 'elsewhere', namespace: 'other' })),
    pod(({ metadata, status }) => {
      metadata.name = 'ended';
      status!.phase = 'Succeeded';
    }),
    pod(({ metadata }) =>
      Object.assign(metadata, { name: 'going', deletionTimestamp: '2030-01-01T00:00:00Z' }),
    ),
  ];
  assert.deepEqual(twinsOf(bound, migration, pods), ['counter', 'counter-restored']);
});
