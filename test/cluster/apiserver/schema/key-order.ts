/** The order of a custom resource's fields: an API server keeps it as a Go map, which is written by the alphabet. */
import { isFields } from '../kube-object.js';

/** Sorts fields in place, at every depth. Lists keep their order. */
export function sortFields(value: unknown): void {
  if (Array.isArray(value)) value.forEach(sortFields);
  if (!isFields(value)) return;
  for (const [name, field] of Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) {
    sortFields(field);
    delete value[name];
    value[name] = field;
  }
}
