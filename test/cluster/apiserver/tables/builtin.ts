/** The columns of the built-in kinds, as on a real cluster (k8s.io/kubernetes/pkg/printers/internalversion). */
import { clusterTables } from './cluster.js';
import { configurationTables } from './configuration.js';
import { eventTable } from './event.js';
import { podTable } from './pod.js';
import type { TableSpec } from './table.js';
import { workloadTables } from './workloads.js';

export const tables: Record<string, TableSpec> = {
  Pod: podTable,
  Event: eventTable,
  ...clusterTables,
  ...configurationTables,
  ...workloadTables,
};
