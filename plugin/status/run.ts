import type { PodMigration } from '../../common/api/schema.js';
import type { KubeClient } from '../../common/kube/client.js';
import { awaitOutcome } from '../await-outcome.js';
import { CliError } from '../cli-error.js';
import { EXIT, type ExitCode } from '../exit-code.js';
import type { KubeFlags } from '../flags.js';
import { IDLE } from '../idle.js';
import type { Invocation } from '../invocation.js';
import { MIGRATION_RESOURCE, reportOutcome } from '../migrate/outcome.js';
import type { Caller } from '../checks/judge.js';
import { requireInstalled } from '../checks/installed.js';
import { printObject, type ObjectFormat } from '../print-object.js';
import { migrationDisplay } from '../progress/choose.js';
import { either, near } from '../text/suggest.js';
import { statusReport } from './report.js';

export interface StatusWish {
  name: string;
  /** The name is that of a pod, not of a migration. */
  onlyPod: boolean;
  /** The name is that of a migration, not of a pod. */
  onlyName: boolean;
  watch: boolean;
  timeoutMs: number;
  output?: ObjectFormat;
  plain: boolean;
}

export async function status(invocation: Invocation, flags: KubeFlags, wish: StatusWish): Promise<ExitCode> {
  const terminal = invocation.terminal(wish);
  const { client, namespace } = await invocation.connect(flags);
  await requireInstalled(client);
  const migration = await find(client, namespace, wish, invocation);
  const { name } = migration.metadata;
  if (wish.watch) {
    const outcome = await awaitOutcome<PodMigration>({
      resource: client.podMigrations,
      name,
      namespace,
      display: await migrationDisplay(terminal),
      timeoutMs: wish.timeoutMs,
      detach: invocation.detach.signal,
      idle: IDLE,
    });
    return reportOutcome({
      invocation,
      terminal,
      client,
      name,
      outcome,
      ...(wish.output ? { output: wish.output } : {}),
    });
  }
  const text = wish.output
    ? await printObject(migration, wish.output, MIGRATION_RESOURCE)
    : statusReport(migration, {
        now: Date.now(),
        width: process.stdout.columns,
        unicode: terminal.unicode,
      }).join('\n');
  terminal.out(text);
  return EXIT.done;
}

/** The migration of that name, else the newest one of the pod of that name. */
async function find(
  client: KubeClient,
  namespace: string,
  { name, onlyPod, onlyName }: StatusWish,
  caller: Caller,
): Promise<PodMigration> {
  const named = onlyPod ? undefined : await client.podMigrations.find(name, namespace);
  if (named) return named;
  const { items } = await client.podMigrations.list({ namespace });
  const newest = onlyName ? undefined : newestOf(items, name);
  if (newest) return newest;
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
