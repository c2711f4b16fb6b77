import { at, textOf, type KubeObject } from '../kube-object.js';
import { age } from '../time.js';
import type { TableSpec } from './table.js';

export const eventTable: TableSpec = {
  columns: [
    { name: 'Last Seen', type: 'string' },
    { name: 'Type', type: 'string' },
    { name: 'Reason', type: 'string' },
    { name: 'Object', type: 'string' },
    { name: 'Subobject', type: 'string', priority: 1 },
    { name: 'Source', type: 'string', priority: 1 },
    { name: 'Message', type: 'string' },
    { name: 'First Seen', type: 'string', priority: 1 },
    { name: 'Count', type: 'string', priority: 1 },
    { name: 'Name', type: 'string', format: 'name', priority: 1 },
  ],
  row(event, now) {
    const either = (core: string, events: string) => event[core] ?? event[events];
    const involved = either('involvedObject', 'regarding');
    const kind = textOf(at(involved, 'kind')).toLowerCase();
    const name = textOf(at(involved, 'name'));
    const last = lastSeen(event);
    const first =
      textOf(either('firstTimestamp', 'deprecatedFirstTimestamp')) || textOf(event['eventTime']) || last;
    return [
      age(last, now),
      event['type'] ?? '',
      event['reason'] ?? '',
      kind ? `${kind}/${name}` : name,
      at(involved, 'fieldPath') ?? '',
      source(event),
      textOf(either('message', 'note')).trim(),
      age(first, now),
      String(at(event, 'series', 'count') ?? either('count', 'deprecatedCount') ?? 1),
      event.metadata.name,
    ];
  },
};

function lastSeen(event: KubeObject): string {
  return (
    textOf(at(event, 'series', 'lastObservedTime')) ||
    textOf(event['lastTimestamp'] ?? event['deprecatedLastTimestamp']) ||
    textOf(event['eventTime']) ||
    textOf(event.metadata.creationTimestamp)
  );
}

function source(event: KubeObject): string {
  const given = event['source'] ?? event['deprecatedSource'];
  const component =
    textOf(at(given, 'component')) || textOf(event['reportingComponent'] ?? event['reportingController']);
  const host = textOf(at(given, 'host')) || textOf(event['reportingInstance']);
  return host ? `${component}, ${host}` : component;
}
