import { API_VERSION } from '../common/api/names.js';
import type { PodMigration } from '../common/api/schema.js';
import type { KubeClient } from '../common/kube/client.js';
import type { Caller } from './checks/judge.js';
import { CliError } from './cli-error.js';
import { readNamed } from './pod-argument.js';
import { isOver } from './progress/stuck.js';
import { either, near } from './text/suggest.js';

const PODS = ['pod', 'pods', 'po'];
const MIGRATIONS = ['podmigration', 'podmigrations', 'pmig', 'podmigration.lpm.my.domain'];

export interface MigrationName {
  name: string;
  /** The name is that of a pod, not of a migration. */
  onlyPod: boolean;
  /** The name is that of a migration, not of a pod. */
  onlyName: boolean;
}

/** Reads `NAME`, `pod/POD` or `podmigration/NAME`. */
export function readMigration(words: readonly string[]): MigrationName {
  const { kind, name } = readNamed(words, new Set([...PODS, ...MIGRATIONS]), 'migration or pod');
  return { name, onlyPod: PODS.includes(kind), onlyName: MIGRATIONS.includes(kind) };
}

/** The migration of that name, else one of the pod of that name: the `newest`, or rather the `active` one if there is one. */
export async function findMigration(
  client: KubeClient,
  namespace: string,
  { name, onlyPod, onlyName }: MigrationName,
  caller: Caller,
  prefer: 'newest' | 'active' = 'newest',
): Promise<PodMigration> {
  const named = onlyPod ? undefined : await client.podMigrations.find(name, namespace);
  if (named) return named;
  const { items } = await client.podMigrations.list({ namespace });
  const active = prefer === 'active' ? items.filter(({ status = {} }) => !isOver(status)) : [];
  const found = onlyName ? undefined : (newestOf(active, name) ?? newestOf(items, name));
  // Lists come without the type of their items.
  if (found) return { ...found, apiVersion: API_VERSION, kind: 'PodMigration' };
  const similar = near(
    name,
    onlyPod ? pods(items) : [...items.map((item) => item.metadata.name), ...pods(items)],
  );
  const what = onlyPod ? `There is no migration of a pod "${name}"` : `There is no migration "${name}"`;
  const also = onlyPod || onlyName ? '' : ', nor one of a pod of that name';
  throw new CliError(`${what} in namespace "${namespace}"${also}.`, [
    similar.length > 0
      ? `Did you mean ${either(similar)}?`
      : `List them with: ${caller.again(`${caller.program} list`)} (or -A for all namespaces)`,
  ]);
}

/** The newest migration that this pod went into or came out of. */
export function newestOf(migrations: PodMigration[], pod: string): PodMigration | undefined {
  const time = ({ metadata }: PodMigration) => metadata.creationTimestamp ?? '';
  return migrations
    .filter(({ spec, status }) => spec.podName === pod || status?.restoredPodName === pod)
    .sort((a, b) => (time(a) < time(b) ? 1 : -1))[0];
}

function pods(migrations: PodMigration[]): string[] {
  return migrations.map(({ spec }) => spec.podName);
}
