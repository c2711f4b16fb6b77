import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Reason } from '../../../common/errors.js';
import type { Saved } from '../../checkpoint/bound.testing.js';
import { failureOf } from '../../agents/failure.js';
import { aMigration, nodeFacts } from '../build.testing.js';
import { savedChecks } from './checks.js';
import type { SavedFacts } from './facts.js';
import { savedFacts } from './facts.testing.js';

const restore = (spec: Parameters<typeof aMigration>[0] = {}) =>
  aMigration({ fromCheckpoint: { kind: 'PodCheckpoint', name: 'nightly' }, ...spec });
const template = (spec: Record<string, unknown>) => (saved: Saved) =>
  Object.assign(saved.podContent.spec.podTemplate!.spec, spec);
const LOCAL =
  'file:///var/lib/kubelet/checkpoints/checkpoint-counter_default-counter-2030-01-01T00:00:00Z.tar';
const local = ({ content }: Saved) => (content.spec.artifactURI = LOCAL);
const nothing = () => {};

test('a checkpoint that can be brought back is accepted, without a warning', () => {
  assert.deepEqual(savedChecks(savedFacts()), { refusals: [], warnings: [], candidates: ['k8s-master'] });
});

const refused: [string, Reason, RegExp, Partial<SavedFacts>, (saved: Saved) => void][] = [
  [
    'of another pod than named',
    'InvalidArgument',
    /is of pod counter, not of redis/,
    { migration: restore({ podName: 'redis' }) },
    nothing,
  ],
  [
    'with a claim',
    'NotSupportedYet',
    /Volume data is a persistentVolumeClaim/,
    {},
    template({ volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'x' } }] }),
  ],
  ['with the host network', 'PodNotSupported', /hostNetwork/, {}, template({ hostNetwork: true })],
  [
    'with a ConfigMap that is gone',
    'PodNotSupported',
    /mounts ConfigMap settings, which does not exist/,
    { missingConfigMaps: ['settings'] },
    nothing,
  ],
  [
    'without the spec of its pod',
    'NotRestorable',
    /does not hold the spec of its pod/,
    {},
    ({ podContent, content }) => {
      delete podContent.spec.podTemplate;
      delete content.spec.podTemplate;
    },
  ],
  [
    'under a name that another restore is about to take',
    'NameTaken',
    /Migration other is making a pod back/,
    {
      migration: restore({ restoredPodName: 'back' }),
      otherMigrations: [
        {
          ...restore(),
          metadata: { name: 'other', uid: 'other' },
          status: { restoredPodName: 'back' },
        },
      ],
    },
    nothing,
  ],
  [
    'on an unknown node',
    'NodeNotFound',
    /no node k8s-master/,
    { targets: [{ name: 'k8s-master', node: undefined }] },
    nothing,
  ],
  [
    'on a node without the handler',
    'HandlerMissing',
    /handler lpm/,
    { targets: [nodeFacts('k8s-master', { handlerReady: false })] },
    nothing,
  ],
  [
    'on a node with another architecture than was noted',
    'NodesDiffer',
    /k8s-worker has the architecture amd64, node k8s-master has arm64/,
    {
      targets: [nodeFacts('k8s-master', { architecture: 'arm64' })],
      maker: { name: 'k8s-worker', node: undefined },
    },
    nothing,
  ],
  [
    'on a node with less than its node has, where nothing was noted',
    'NodesDiffer',
    /lacks what the processes may use.*avx2/,
    { targets: [nodeFacts('k8s-master', { cpuFlags: [] })] },
    ({ content }) => delete content.spec.madeOn,
  ],
  [
    'on a node without room for what the archive says it holds',
    'NoSpace',
    /1088 MiB are needed/,
    { targets: [nodeFacts('k8s-master', { freeBytes: 100n << 20n })] },
    ({ content }) => (content.status = { description: { memoryBytes: String(1 << 30) } }),
  ],
  [
    'from a node that is gone',
    'NodeNotFound',
    /lies on node k8s-worker only, and there is no such node any more/,
    { maker: { name: 'k8s-worker', node: undefined } },
    local,
  ],
  [
    'from a node whose agent is silent',
    'AgentNotReachable',
    /lies on node k8s-worker only: No answer\./,
    {
      maker: { ...nodeFacts('k8s-worker'), agent: { failure: failureOf('AgentNotReachable', 'No answer.') } },
    },
    local,
  ],
];
for (const [what, reason, message, change, saved] of refused) {
  test(`not brought back: ${what}`, () => {
    const { refusals } = savedChecks(savedFacts(change, saved));
    assert.deepEqual([refusals[0]?.reason, refusals.length], [reason, 1], JSON.stringify(refusals));
    assert.match(refusals[0]?.message ?? '', message);
  });
}

test('an archive of one node only is brought back there when its agent is silent to others', () => {
  const targets = [nodeFacts('k8s-worker')];
  const { refusals } = savedChecks(
    savedFacts({ migration: restore({ targetNode: 'k8s-worker' }), targets }, local),
  );
  assert.deepEqual(refusals, []);
});

test('a description that is nonsense counts for nothing', () => {
  const { refusals } = savedChecks(
    savedFacts({}, ({ content }) => (content.status = { description: { memoryBytes: 'much' } })),
  );
  assert.deepEqual(refusals, []);
});

test('gaps of the archive and twins are warned of', () => {
  const { warnings } = savedChecks(
    savedFacts(
      { twins: ['counter'] },
      ({ content }) => (content.spec.gaps = ['The emptyDirs are not in it.']),
    ),
  );
  assert.equal(warnings[0], 'Container counter: The emptyDirs are not in it.');
  assert.match(warnings[1] ?? '', /^Pod counter still runs: the two are twins/);
});
