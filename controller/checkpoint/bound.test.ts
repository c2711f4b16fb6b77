import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Reason } from '../../common/errors.js';
import { binding } from './bound.js';
import { aSaved, bindingFactsOf, CHECKPOINT_UID, CHILD_UID, type Saved } from './bound.testing.js';

const nightly = { kind: 'PodCheckpoint', namespace: 'default', name: 'nightly' } as const;
const judge = (change: (saved: Saved) => void = () => {}) => binding(nightly, bindingFactsOf(aSaved(change)));

test('a checkpoint and the contents that name each other are bound', () => {
  const { bound } = judge();
  assert.equal(bound?.uid, CHECKPOINT_UID);
  assert.deepEqual([bound?.podName, bound?.nodeName, bound?.containers.length], ['counter', 'k8s-worker', 1]);
  assert.ok(bound?.podTemplate);
});

test('a ContainerCheckpoint is bound to its own content, also as the child of a PodCheckpoint', () => {
  const { child, content } = aSaved();
  const wanted = { kind: 'ContainerCheckpoint', namespace: 'default', name: 'nightly-counter' } as const;
  const { bound } = binding(wanted, { checkpoint: child, parts: [{ content, child }] });
  assert.equal(bound?.uid, CHILD_UID);
});

const elsewhere = 'file:///var/lib/kubelet/checkpoints/';
const refused: [string, Reason, RegExp, (saved: Saved) => void][] = [
  [
    'one that is still taken',
    'CheckpointNotReady',
    /is Running, not Succeeded/,
    ({ checkpoint }) => (checkpoint.status!.phase = 'Running'),
  ],
  [
    'one that has failed',
    'CheckpointNotReady',
    /has failed: CRIU is gone/,
    ({ checkpoint }) => Object.assign(checkpoint.status!, { phase: 'Failed', message: 'CRIU is gone.' }),
  ],
  [
    'one that is being deleted',
    'CheckpointNotFound',
    /being deleted/,
    ({ checkpoint }) => (checkpoint.metadata.deletionTimestamp = '2030-01-01T00:00:00Z'),
  ],
  [
    'a content that another checkpoint’s status names',
    'CheckpointNotBound',
    /do not belong to each other/,
    ({ podContent }) => (podContent.spec.podCheckpointRef.uid = CHILD_UID),
  ],
  [
    'a content of the right name in another namespace',
    'CheckpointNotBound',
    /do not belong/,
    ({ podContent }) => (podContent.spec.podCheckpointRef.namespace = 'other'),
  ],
  [
    'a content with a name of its own',
    'CheckpointNotBound',
    /content mine/i,
    ({ content }) => (content.metadata.name = 'mine'),
  ],
  [
    'a content of another pod',
    'CheckpointNotBound',
    /do not belong/,
    ({ content }) => (content.spec.podUID = CHILD_UID),
  ],
  [
    'a child that is no child',
    'CheckpointNotBound',
    /do not belong/,
    ({ child }) => delete child.metadata.ownerReferences,
  ],
  [
    'a child that is bound to another content',
    'CheckpointNotBound',
    /do not belong/,
    ({ child }) => (child.status!.boundContentName = 'other'),
  ],
  ...[
    `shared://${CHILD_UID}-counter-2030-01-01T00:00:00Z.tar`,
    'shared://../22222222-2222-4222-8222-222222222222-counter-2030.tar',
    `shared://22222222-2222-4222-8222-222222222222-counter-../../etc/shadow`,
    `${elsewhere}checkpoint-counter_other-counter-2030-01-01T00:00:00Z.tar`,
    `${elsewhere}checkpoint-counter_default-counter-/../../secret.tar`,
    'file:///etc/shadow',
    `${elsewhere}../../../etc/checkpoint-counter_default-counter-2030.tar`,
  ].map((uri): [string, Reason, RegExp, (saved: Saved) => void] => [
    `somebody else’s archive: ${uri}`,
    'CheckpointNotBound',
    /do not belong/,
    ({ content }) => (content.spec.artifactURI = uri),
  ]),
];
for (const [what, reason, message, change] of refused) {
  test(`not bound: ${what}`, () => {
    const { refusal } = judge(change);
    assert.equal(refusal?.reason, reason);
    assert.match(refusal?.message ?? '', message);
  });
}

test('a checkpoint that is not there, and one whose content is gone, are told', () => {
  assert.match(
    binding(nightly, { checkpoint: undefined, parts: [] }).refusal?.message ?? '',
    /^There is no PodCheckpoint nightly in namespace default\.$/,
  );
  const { checkpoint, podContent } = aSaved();
  assert.equal(binding(nightly, { checkpoint, podContent, parts: [] }).refusal?.reason, 'CheckpointNotFound');
  assert.match(
    binding(nightly, { checkpoint, parts: [] }).refusal?.message ?? '',
    /^The content podcheckpointcontent-3+\S* of PodCheckpoint nightly is gone\.$/,
  );
});
