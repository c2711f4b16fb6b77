/**
 * spec.force: what a check only takes for too risky may be done all the same; what would surely fail, or could leave two
 * copies or none, may not. A refusal that can be overridden carries what is risked by it (Refusal.risk). Pure.
 */
import type { PodMigration } from '../../common/api/schema.js';
import type { Check, Refusal } from './facts.js';

const FLAG = 'spec.force (--force)';

/** What still refuses, with a hint that tells what force would do or cannot do, and what is overridden as a warning. */
export function weighed(one: Check, { force }: PodMigration['spec']): Check & { overridden: Refusal[] } {
  const overridden = one.refusals.filter((refusal) => !stands(refusal, force));
  return {
    ...one,
    refusals: one.refusals
      .filter((refusal) => stands(refusal, force))
      .map((refusal) => ({ ...refusal, hint: hintFor(refusal, one, force) })),
    warnings: [
      ...overridden.map(({ message, risk }) => `${message} Overridden by spec.force: ${risk}`),
      ...one.warnings,
    ],
    overridden,
  };
}

/** True when it refuses the migration. */
export function stands({ risk }: Refusal, force: boolean | undefined): boolean {
  return !(force && risk !== undefined);
}

function hintFor({ hint, risk }: Refusal, { name }: Check, force: boolean | undefined): string {
  const about = risk
    ? `Or take the risk with ${FLAG}: ${risk}`
    : force
      ? `The check ${name} is none that ${FLAG} overrides.`
      : '';
  return [hint, about].filter(Boolean).join(' ');
}
