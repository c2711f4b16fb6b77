import { CliError } from '../cli-error.js';
import { either, near } from '../text/suggest.js';

/** What is said of a node that does not exist, with those that may have been meant. */
export function unknownNode(name: string, others: readonly string[]): CliError {
  const similar = near(name, others);
  const list = others.slice(0, 8).join(', ');
  return new CliError(`There is no node "${name}" in this cluster.`, [
    similar.length > 0
      ? `Did you mean ${either(similar)}?`
      : list === ''
        ? 'List the nodes with: kubectl get nodes'
        : `The nodes are: ${list}${others.length > 8 ? ', …' : ''}`,
  ]);
}
