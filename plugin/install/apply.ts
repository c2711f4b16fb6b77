/** One object is brought to what the manifests say of it, by server-side apply. */
import { ApiError, unlessNotFound } from '../../common/kube/api-error.js';
import type { KubeClient } from '../../common/kube/client.js';
import type { KubeObject } from '../../common/kube/types.js';
import { sortedKeys } from '../../common/sorted-keys.js';
import { CliError } from '../cli-error.js';
import type { ApiPaths } from './api-paths.js';
import type { ManifestObject } from './bundled.js';

export const FIELD_MANAGER = 'kubectl-migrate';

/** Whose fields are ours to take over: the same manifests, applied with kubectl. */
const OURS = new Set([FIELD_MANAGER, 'kubectl', 'kubectl-client-side-apply']);

export type Change = 'created' | 'configured' | 'unchanged';

export interface Applied {
  /** As kubectl names it. */
  shown: string;
  change: Change;
  object: ManifestObject;
}

export interface ApplyWish {
  /** The server checks it and changes nothing. */
  dryRun: boolean;
  /** Fields that others have set to something else are set all the same. */
  forceConflicts: boolean;
}

/** @throws CliError when the cluster does not know the kind, or somebody else has set a field to something else */
export async function apply(
  client: KubeClient,
  paths: ApiPaths,
  object: ManifestObject,
  wish: ApplyWish,
): Promise<Applied> {
  const place = await paths.find(object);
  if (!place) throw unknownKind(object);
  const { path, shown } = place;
  const before = await find(client, path);
  const send = (force: boolean) =>
    client.json<ManifestObject>('PATCH', path, {
      query: { fieldManager: FIELD_MANAGER, force, ...(wish.dryRun ? { dryRun: 'All' } : {}) },
      body: object,
      contentType: 'application/apply-patch+yaml',
    });
  let after: ManifestObject;
  try {
    after = await send(wish.forceConflicts);
  } catch (error) {
    if (!(error instanceof ApiError) || !error.isConflict) throw error;
    const others = managersOf(error).filter((manager) => !OURS.has(manager));
    if (others.length > 0 || managersOf(error).length === 0) throw conflict(shown, error, others);
    after = await send(true);
  }
  return { shown, change: changeOf(before, after), object: after };
}

const find = (client: KubeClient, path: string): Promise<KubeObject | undefined> =>
  unlessNotFound(client.json<KubeObject>('GET', path));

/** What changes nothing leaves the version as it was; a dry run has no new one, so there the generation and the rest must tell. */
function changeOf(before: KubeObject | undefined, after: ManifestObject): Change {
  if (!before) return 'created';
  if (before.metadata.resourceVersion !== after.metadata.resourceVersion) return 'configured';
  return same(before, after) ? 'unchanged' : 'configured';
}

function same(a: KubeObject, b: KubeObject): boolean {
  const bare = ({ metadata, ...rest }: KubeObject) => {
    const { managedFields: _, ...kept } = metadata as KubeObject['metadata'] & { managedFields?: unknown };
    return JSON.stringify(sortedKeys({ ...rest, metadata: kept }));
  };
  return bare(a) === bare(b);
}

/** `conflict with "kubectl-edit" using apps/v1` */
function managersOf({ status }: ApiError): string[] {
  const causes = status.details?.causes ?? [];
  return [
    ...new Set(causes.flatMap(({ message = '' }) => /conflict with "([^"]+)"/.exec(message)?.[1] ?? [])),
  ];
}

function conflict(shown: string, error: ApiError, others: string[]): CliError {
  const fields = (error.status.details?.causes ?? []).map(({ field }) => field).filter(Boolean);
  const who = others.length > 0 ? others.join(', ') : 'somebody else';
  return new CliError(
    `${shown} has been changed by ${who}: ${fields.join(', ') || error.message}`,
    [
      'What was applied so far stays; the same command goes on where it stopped.',
      'Set these fields as the manifests have them all the same with --force-conflicts.',
    ],
    undefined,
    error,
  );
}

/** Whose kinds our components use. */
const PROVIDERS: Record<string, string> = {
  'cert-manager.io': 'cert-manager',
  'monitoring.coreos.com': 'the Prometheus operator',
};

function unknownKind({ kind, apiVersion }: ManifestObject): CliError {
  const whose = PROVIDERS[apiVersion.split('/')[0] ?? ''];
  const hint = whose
    ? `It is of ${whose}: install that first, or leave the component out.`
    : 'Does the cluster have what the component is for? kubectl api-resources';
  return new CliError(`This cluster does not know the kind ${kind} (${apiVersion}).`, [hint]);
}
