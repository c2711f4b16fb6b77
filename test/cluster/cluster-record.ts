import { readFileSync, writeFileSync } from 'node:fs';
import type { Layout } from './layout.js';
import { isRunning, type ProcessRecord } from './processes.js';

/** What is written down of a cluster. */
export interface ClusterRecord {
  root: string;
  /** Port on 127.0.0.1 that leads to the API server. */
  port: number;
  /** Agents, controller and handler are those of the test build. */
  faults?: boolean;
  processes: Partial<Record<Daemon, ProcessRecord>>;
}
export type Daemon = 'lab' | 'control-plane' | 'relay' | 'controller';

export function readRecord(layout: Layout): ClusterRecord | undefined {
  try {
    return JSON.parse(readFileSync(layout.record, 'utf8')) as ClusterRecord;
  } catch {
    return undefined;
  }
}

export const writeRecord = (layout: Layout, record: ClusterRecord): void =>
  writeFileSync(layout.record, JSON.stringify(record, null, 2));

export const alive = (record: ClusterRecord, name: Daemon): boolean => {
  const found = record.processes[name];
  return found !== undefined && isRunning(found);
};
