/** What is deleted in the middle of a migration, when, and what a user then expects to find. */
import type { FaultPoint } from '../../../common/fault-points.js';

/** Each phase is held at a place. */
export const WHEN = {
  'while the target is prepared': 'controller.createCheckpoint.before',
  'while the source is frozen': 'agent.checkpoint.dumped',
  'while the target restores': 'agent.restore.staged',
  'after the commit': 'controller.deleteSource.before',
} as const satisfies Record<string, FaultPoint>;
export type When = keyof typeof WHEN;

export const WHAT = [
  'the migration',
  'the source',
  'the source by force',
  'the target',
  'the target by force',
  'the source’s node',
  'the target’s node',
  'the namespace',
] as const;
export type What = (typeof WHAT)[number];

export interface Deletion {
  what: What;
  when: When;
}

export const nameOf = ({ what, when }: Deletion): string => `${what} is deleted ${when}`;

export const allDeletions: Deletion[] = WHAT.flatMap((what) =>
  (Object.keys(WHEN) as When[]).map((when) => ({ what, when })),
);

/** Each kind, and each phase for what is dangerous in it. */
export const chosenDeletions: Deletion[] = (
  [
    ['the migration', 'while the source is frozen'],
    ['the migration', 'after the commit'],
    ['the source', 'while the target restores'],
    ['the source by force', 'while the source is frozen'],
    ['the source by force', 'after the commit'],
    ['the target', 'while the target is prepared'],
    ['the target by force', 'while the target restores'],
    ['the source’s node', 'after the commit'],
    ['the target’s node', 'while the source is frozen'],
    ['the namespace', 'while the target restores'],
    ['the namespace', 'after the commit'],
  ] as const
).map(([what, when]) => ({ what, when }));

export interface Expected {
  /** The pod that runs at the end; undefined: the user has deleted the copy itself. */
  left: 'source' | 'target' | undefined;
  /** What became of the migration. */
  migration: 'gone' | 'Failed' | 'Succeeded';
}

/** Before the commit the source is the pod, after it the target. A node object takes its pods along, as Kubernetes does it. */
export function expected({ what, when }: Deletion): Expected {
  const copy = when === 'after the commit' ? 'target' : 'source';
  const ends = copy === 'target' ? 'Succeeded' : 'Failed';
  switch (what) {
    case 'the migration':
      return { left: copy, migration: 'gone' };
    case 'the source':
    case 'the source by force':
    case 'the source’s node':
      return { left: copy === 'source' ? undefined : copy, migration: ends };
    case 'the target':
    case 'the target by force':
    case 'the target’s node':
      return { left: copy === 'target' ? undefined : copy, migration: ends };
    case 'the namespace':
      return { left: undefined, migration: 'gone' };
    default:
      return what satisfies never;
  }
}
