/** CRIU's logs as the controller stores them in a ConfigMap: keys `<side>.<container>.<log>`, and `notes`. Pure. */
import { criuLogName } from '../../common/api/names.js';
import type { PodMigration } from '../../common/api/schema.js';

/** Each log below a heading, in the order in which they were written. */
export function criuText(
  migration: PodMigration,
  data: Record<string, string>,
): { texts: string[]; notes: string[] } {
  const { sourceNode, targetNode } = migration.status ?? {};
  const { notes = '', ...logs } = data;
  const texts = Object.entries(logs)
    // "source" stands before "target", and the attempts are numbered.
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, text]) => {
      const [side = '', container = '', ...name] = key.split('.');
      const node = side === 'source' ? sourceNode : targetNode;
      return `==> ${name.join('.')} of container ${container} on ${side} node ${node ?? '?'} <==\n${text.trimEnd()}`;
    });
  return { texts, notes: notes.split('\n').filter(Boolean) };
}

/** Why there is no ConfigMap. */
export function whyNoCriuLogs({ metadata, status }: PodMigration): string {
  const { phase, conditions = [], sourceNode, targetNode } = status ?? {};
  if (phase !== 'Succeeded' && phase !== 'Failed') {
    return `Migration ${metadata.name} goes on (${phase ?? 'not taken up by the controller yet'}); CRIU's logs are stored when it has ended.`;
  }
  if (!conditions.some(({ type }) => type === 'Checkpointed')) {
    return `Migration ${metadata.name} ended before anything was frozen, so there is no log of CRIU.`;
  }
  const nodes = [...new Set([sourceNode, targetNode].filter(Boolean))].join(' and ');
  return `There is no ConfigMap ${criuLogName(metadata.name)} with CRIU's logs of migration ${metadata.name}; the agents keep them for 14 days below /var/lib/lpm/logs on ${nodes}.`;
}
