/**
 * The words in which a migration that is stuck tells a person how to decide it. The controller writes them into the message
 * of the condition Stuck; the plugin reads there which decisions the controller would take, and when each is right.
 */
import type { PodMigration } from './schema.js';

/** The copy that a person keeps. */
export type Side = NonNullable<PodMigration['spec']['resolution']>;

const SIDES: readonly Side[] = ['Source', 'Target'];
const DECIDE = 'If it stays so, decide yourself: ';

/** How a person decides, as the end of a message. `sides`: which can be kept, each with what must be the case for it. */
export function howToResolve(
  { name, namespace }: { name: string; namespace?: string },
  sides: { [S in Side]?: string },
): string {
  const ways = SIDES.flatMap((side) =>
    sides[side] ? [`--keep ${side.toLowerCase()} if ${sides[side]}`] : [],
  );
  return `${DECIDE}kubectl migrate resolve ${name} -n ${namespace ?? 'default'} with ${ways.join(', or ')}.`;
}

/** A message that may end with howToResolve(), taken apart. `sides` is empty when no decision is offered. */
export function readHowToResolve(message: string): { before: string; sides: { [S in Side]?: string } } {
  const [before = '', offer = ''] = message.split(DECIDE);
  const sides: { [S in Side]?: string } = {};
  for (const [, word, when] of offer.matchAll(/--keep (source|target) if (.*?)(?:, or (?=--keep )|\.$)/gs)) {
    sides[word === 'source' ? 'Source' : 'Target'] = when ?? '';
  }
  return { before: before.trim(), sides };
}
