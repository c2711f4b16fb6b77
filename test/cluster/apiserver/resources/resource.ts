/** What the server knows of one resource (a kind at one version), and the rules that its writes follow. */
import type { Api } from '../api.js';
import type { KubeObject } from '../kube-object.js';
import type { Schema } from '../schema/schema.js';
import type { FieldError } from '../status-error.js';
import type { TableSpec } from '../tables/table.js';

export interface User {
  username: string;
  uid?: string;
  groups: string[];
  extra?: Record<string, string[]>;
}

/** Who asks, and how: handed through every write. */
export interface RequestContext {
  user: User;
  dryRun: boolean;
  fieldManager: string;
  fieldValidation: 'Strict' | 'Warn' | 'Ignore';
  /** Text that the client shows to its user beside the answer (header Warning: 299). */
  warn(text: string): void;
}

/**
 * The rules of a kind. Objects handed to them as `object` or `next` are fresh and may be changed in place; `old` is
 * stored and must not.
 */
export interface Strategy {
  /** Defaults and what clients may not decide. */
  prepareForCreate?(object: KubeObject, api: Api, context: RequestContext): void;
  validate?(object: KubeObject, api: Api): FieldError[];
  prepareForUpdate?(next: KubeObject, old: KubeObject, api: Api): void;
  validateUpdate?(next: KubeObject, old: KubeObject, api: Api): FieldError[];
  /** For the status subresource, after spec and metadata have been put back. */
  prepareForStatusUpdate?(next: KubeObject, old: KubeObject, api: Api): void;
  validateStatusUpdate?(next: KubeObject, old: KubeObject, api: Api): FieldError[];
  /** Seconds of grace when an object is deleted gracefully; without it, or 0, objects go at once. */
  deletionGrace?(object: KubeObject, requested: number | undefined): number;
  /** A deletion is answered with the object as it was, not with a Status. */
  returnsDeletedObject?: boolean;
  /** Called for deletions that are not dry runs, before anything is stored. May throw. */
  beforeDelete?(object: KubeObject, api: Api): void;
  /** What changes besides the metadata of an object that is not gone at once when it is deleted. */
  beginDeletion?(next: KubeObject): void;
  /** True while something other than grace and finalizers keeps an object that is being deleted. */
  isHeld?(object: KubeObject): boolean;
  /** Whether the status survives creation (nodes register with one). */
  keepsStatusOnCreate?: boolean;
  /** What status updates may change in metadata: nothing but managed fields, or labels and annotations too. */
  statusMayChangeMetadata?: boolean;
  /** PUT without a resourceVersion is refused (custom resources). */
  needsVersionOnUpdate?: boolean;
  /** Names may be anything that fits in a path (RBAC, events of some). Default: DNS subdomain. */
  nameRule?: 'subdomain' | 'label' | 'path' | 'service';
}

export interface Resource {
  group: string;
  version: string;
  plural: string;
  singular: string;
  kind: string;
  listKind: string;
  namespaced: boolean;
  shortNames: string[];
  categories: string[];
  verbs: readonly string[];
  /** `group/plural`: where objects are stored; versions of a kind (and both kinds of event) share it. */
  storage: string;
  schema: Schema;
  isCustom: boolean;
  hasStatus: boolean;
  /** metadata.generation counts changes of the spec. */
  hasGeneration: boolean;
  /** Where the replica counts are, when the kind has the subresource scale. */
  scale?: { specPath: string; statusPath: string; selectorPath?: string };
  strategy: Strategy;
  table: TableSpec;
  /** Field selectors next to metadata.name and metadata.namespace. */
  fieldSelectors: Record<string, (object: KubeObject) => string>;
  /** Fills in defaults and drops what the schema does not know; returns what was dropped. Changes in place. */
  decode(object: KubeObject): string[];
  /** Conversion, where the stored version has other fields. */
  toStorage(object: KubeObject): KubeObject;
  fromStorage(object: KubeObject): KubeObject;
}

export function apiVersionOf(resource: { group: string; version: string }): string {
  return resource.group === '' ? resource.version : `${resource.group}/${resource.version}`;
}

export const standardVerbs = [
  'create',
  'delete',
  'deletecollection',
  'get',
  'list',
  'patch',
  'update',
  'watch',
] as const;
