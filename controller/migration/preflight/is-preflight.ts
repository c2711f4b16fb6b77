import type { PodMigration } from '../../../common/api/schema.js';

/** True for one that only looks whether a migration would be accepted. */
export function isPreflight({ spec }: PodMigration): boolean {
  return spec.preflightOnly === true;
}
