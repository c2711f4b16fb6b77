/** CustomResourceDefinitions: their defaults, checks and status. */
import { at, isFields, listOf, type Fields, type KubeObject } from '../kube-object.js';
import type { Strategy } from '../resources/resource.js';
import { compileRules } from '../schema/cel.js';
import type { Schema } from '../schema/schema.js';
import { fieldError, type FieldError } from '../status-error.js';
import { timestamp } from '../time.js';
import { immutable } from '../validation/metadata.js';

interface Names {
  plural: string;
  singular?: string;
  kind: string;
  listKind?: string;
  shortNames?: string[];
  categories?: string[];
}

function defaultNames(object: KubeObject): void {
  const names = at(object.spec, 'names');
  if (!isFields(names)) return;
  const { kind } = names as unknown as Names;
  if (!kind) return;
  names['singular'] ??= kind.toLowerCase();
  names['listKind'] ??= `${kind}List`;
  (object.spec as Fields)['conversion'] ??= { strategy: 'None' };
}

/** A definition goes when its last object has gone. */
export const crdFinalizer = 'customresourcecleanup.apiextensions.k8s.io';

export const crdStrategy: Strategy = {
  prepareForCreate(object) {
    defaultNames(object);
    object.metadata.finalizers = [...new Set([...(object.metadata.finalizers ?? []), crdFinalizer])];
    object.status = establishedStatus(object, undefined);
  },
  prepareForUpdate(next, old) {
    defaultNames(next);
    next.status = establishedStatus(next, old.status);
  },
  validate: crdErrors,
  validateUpdate: (next, old) => [
    ...crdErrors(next),
    ...immutable(at(next.spec, 'group'), at(old.spec, 'group'), 'spec.group'),
    ...immutable(at(next.spec, 'scope'), at(old.spec, 'scope'), 'spec.scope'),
  ],
};

function establishedStatus(object: KubeObject, old: unknown): Fields {
  const versions = listOf(at(object.spec, 'versions'));
  const storage = versions
    .filter((version) => at(version, 'storage') === true)
    .map((version) => at(version, 'name'));
  const known = listOf(at(old, 'storedVersions'));
  const condition = (type: string, reason: string, message: string) => ({
    type,
    status: 'True',
    lastTransitionTime: timestamp(),
    reason,
    message,
  });
  return {
    conditions: at(old, 'conditions') ?? [
      condition('NamesAccepted', 'NoConflicts', 'no conflicts found'),
      condition('Established', 'InitialNamesAccepted', 'the initial names have been accepted'),
    ],
    acceptedNames: at(object.spec, 'names'),
    storedVersions: [...new Set([...known, ...storage])],
  };
}

function crdErrors(object: KubeObject): FieldError[] {
  const errors: FieldError[] = [];
  const group = at(object.spec, 'group');
  const plural = at(object.spec, 'names', 'plural');
  if (!group) errors.push(fieldError.required('spec.group'));
  if (!plural) errors.push(fieldError.required('spec.names.plural'));
  if (!at(object.spec, 'names', 'kind')) errors.push(fieldError.required('spec.names.kind'));
  const expected = `${String(plural)}.${String(group)}`;
  if (group && plural && object.metadata.name !== expected) {
    errors.push(
      fieldError.invalid('metadata.name', object.metadata.name, `must be spec.names.plural+"."+spec.group`),
    );
  }
  const scope = at(object.spec, 'scope');
  if (scope !== 'Namespaced' && scope !== 'Cluster') {
    errors.push(fieldError.notSupported('spec.scope', scope ?? '', ['Cluster', 'Namespaced']));
  }
  const versions = listOf(at(object.spec, 'versions'));
  const stored = versions.filter((version) => at(version, 'storage') === true);
  if (stored.length !== 1) {
    errors.push(
      fieldError.invalid(
        'spec.versions',
        versions.map((version) => at(version, 'name')),
        'must have exactly one version marked as storage version',
      ),
    );
  }
  versions.forEach((version, i) => {
    const field = `spec.versions[${i}].schema.openAPIV3Schema`;
    const schema = at(version, 'schema', 'openAPIV3Schema');
    if (!isFields(schema)) errors.push(fieldError.required(field, 'schemas are required'));
    else {
      errors.push(...structuralErrors(schema as Schema, field, true));
      errors.push(...compileRules(schema as Schema, field).errors);
    }
  });
  return errors;
}

/** The rules of structural schemas that are broken most often (kubernetes.io: "Specifying a structural schema"). */
function structuralErrors(schema: Schema, field: string, isRoot = false): FieldError[] {
  const errors: FieldError[] = [];
  if (
    !schema.type &&
    !schema['x-kubernetes-int-or-string'] &&
    !schema['x-kubernetes-preserve-unknown-fields']
  ) {
    errors.push(
      fieldError.required(
        `${field}.type`,
        isRoot ? 'must not be empty at the root' : 'must not be empty for specified object fields',
      ),
    );
  }
  if (schema.pattern !== undefined) {
    try {
      new RegExp(schema.pattern, 'u');
    } catch {
      errors.push(
        fieldError.invalid(`${field}.pattern`, schema.pattern, 'must be a valid regular expression'),
      );
    }
  }
  if (schema.type === 'array' && !schema.items)
    errors.push(fieldError.required(`${field}.items`, 'must be specified'));
  if (schema['x-kubernetes-list-type'] === 'map' && !schema['x-kubernetes-list-map-keys']?.length) {
    errors.push(
      fieldError.required(
        `${field}.x-kubernetes-list-map-keys`,
        'must not be empty if x-kubernetes-list-type is map',
      ),
    );
  }
  if (schema.properties && schema.additionalProperties) {
    errors.push(
      fieldError.forbidden(
        `${field}.additionalProperties`,
        'additionalProperties and properties are mutual exclusive',
      ),
    );
  }
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    if (isRoot && name === 'metadata') continue;
    errors.push(...structuralErrors(property, `${field}.properties[${name}]`));
  }
  if (schema.items) errors.push(...structuralErrors(schema.items, `${field}.items`));
  if (typeof schema.additionalProperties === 'object') {
    errors.push(...structuralErrors(schema.additionalProperties, `${field}.additionalProperties`));
  }
  return errors;
}
