/** Facts for tests: a checkpoint that passes every check, to be changed where a test says so. */
import { binding } from '../../checkpoint/bound.js';
import { aSaved, bindingFactsOf, type Saved } from '../../checkpoint/bound.testing.js';
import { aMigration, nodeFacts } from '../build.testing.js';
import type { SavedFacts } from './facts.js';

const nightly = { kind: 'PodCheckpoint', namespace: 'default', name: 'nightly' } as const;

export function savedFacts(
  change: Partial<SavedFacts> = {},
  saved: (saved: Saved) => void = () => {},
): SavedFacts {
  return {
    migration: aMigration({ fromCheckpoint: nightly }),
    binding: binding(nightly, bindingFactsOf(aSaved(saved))),
    podNames: [],
    twins: [],
    nodeNames: ['k8s-master', 'k8s-worker'],
    targets: [nodeFacts('k8s-master')],
    maker: nodeFacts('k8s-worker'),
    missingConfigMaps: [],
    otherMigrations: [],
    ...change,
  };
}
