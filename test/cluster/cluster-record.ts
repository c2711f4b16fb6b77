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
  /** Agents and controller are pods, installed with the manifests, in place of processes. */
  installed?: boolean;
  /** Folder of the real kube-apiserver and etcd that serve; without it the small API server does. */
  assets?: string;
  /** How many of our controller run, of which one leads; default 1. */
  replicas?: number;
  /** Further flags of our controller. */
  controllerFlags?: readonly string[];
  processes: Partial<Record<Daemon, ProcessRecord>>;
}

/** `control-plane` is the API server, whichever; `controllers` those of Kubernetes, `controller` our own. */
export type Daemon = 'lab' | 'etcd' | 'control-plane' | 'relay-inside' | 'relay' | 'controllers' | Replica;

/** Our controller; the second one runs only where it was asked for. */
export const replicaNames = ['controller', 'controller-2'] as const;
export type Replica = (typeof replicaNames)[number];

/** What has to run for a cluster to be one. */
export const neededDaemons = ({ assets }: ClusterRecord): Daemon[] => [
  'lab',
  ...(assets ? (['etcd', 'control-plane', 'relay-inside'] as const) : (['control-plane'] as const)),
  'relay',
  'controllers',
];

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
