/** Resources that a CustomResourceDefinition adds: one for each served version. */
import { jsonPath } from '../tables/json-path.js';
import { customTable, type PrinterColumn } from '../tables/custom.js';
import type { KubeObject } from '../kube-object.js';
import { compileRules, evaluateRules, type CompiledRules } from '../schema/cel.js';
import { sortFields } from '../schema/key-order.js';
import { applyDefaults, prune } from '../schema/prune.js';
import type { Schema } from '../schema/schema.js';
import { validateStructure } from '../schema/validate.js';
import type { FieldError } from '../status-error.js';
import { standardVerbs, type Resource, type Strategy } from './resource.js';

interface CrdVersion {
  name: string;
  served: boolean;
  storage: boolean;
  schema?: { openAPIV3Schema?: Schema };
  subresources?: {
    status?: object;
    scale?: { specReplicasPath: string; statusReplicasPath: string; labelSelectorPath?: string };
  };
  additionalPrinterColumns?: PrinterColumn[];
  selectableFields?: { jsonPath: string }[];
}

interface CrdSpec {
  group: string;
  scope: 'Namespaced' | 'Cluster';
  names: {
    plural: string;
    singular: string;
    kind: string;
    listKind: string;
    shortNames?: string[];
    categories?: string[];
  };
  versions: CrdVersion[];
}

export function customResources(crd: KubeObject): Resource[] {
  const spec = crd.spec as CrdSpec;
  const stored = spec.versions.find((version) => version.storage) ?? spec.versions[0]!;
  // The stored version first: the registry takes the first of a storage as the one that objects are kept in.
  const versions = [stored, ...spec.versions.filter((version) => version !== stored)];
  return versions
    .filter((version) => version.served)
    .map((version) => customResource(spec, version, stored.name));
}

function customResource(spec: CrdSpec, version: CrdVersion, storedVersion: string): Resource {
  const schema: Schema = version.schema?.openAPIV3Schema ?? {
    type: 'object',
    'x-kubernetes-preserve-unknown-fields': true,
  };
  const { group, names } = spec;
  const scale = version.subresources?.scale;
  const convert = (to: string) => (object: KubeObject) =>
    object.apiVersion === `${group}/${to}` ? object : { ...object, apiVersion: `${group}/${to}` };
  return {
    group,
    version: version.name,
    plural: names.plural,
    singular: names.singular,
    kind: names.kind,
    listKind: names.listKind,
    namespaced: spec.scope === 'Namespaced',
    shortNames: names.shortNames ?? [],
    categories: names.categories ?? [],
    verbs: standardVerbs,
    storage: `${group}/${names.plural}`,
    schema,
    isCustom: true,
    hasStatus: version.subresources?.status !== undefined,
    hasGeneration: true,
    ...(scale
      ? {
          scale: {
            specPath: scale.specReplicasPath,
            statusPath: scale.statusReplicasPath,
            ...(scale.labelSelectorPath ? { selectorPath: scale.labelSelectorPath } : {}),
          },
        }
      : {}),
    strategy: customStrategy(schema, compileRules(schema, '')),
    table: customTable(version.additionalPrinterColumns),
    fieldSelectors: selectableFields(version),
    decode(object) {
      const dropped = prune(schema, object);
      applyDefaults(schema, object);
      sortFields(object);
      return dropped;
    },
    toStorage: convert(storedVersion),
    fromStorage: convert(version.name),
  };
}

function selectableFields(version: CrdVersion): Resource['fieldSelectors'] {
  return Object.fromEntries(
    (version.selectableFields ?? []).map(({ jsonPath: path }) => [
      path.replace(/^\./, ''),
      (object: KubeObject) => {
        const value = jsonPath(path, object)[0];
        return value === undefined ? '' : String(value);
      },
    ]),
  );
}

const skipped =
  'some validation rules were not checked because the object was invalid; correct the existing errors to complete validation';
const blocking = new Set([
  'FieldValueRequired',
  'FieldValueNotSupported',
  'FieldValueTooLong',
  'FieldValueTooMany',
  'FieldValueTypeInvalid',
]);

function customStrategy(schema: Schema, rules: CompiledRules): Strategy {
  const check = (next: KubeObject, old?: KubeObject): FieldError[] => {
    const errors = validateStructure(schema, next);
    if (!rules.tree) return errors;
    if (errors.some((error) => blocking.has(error.reason))) {
      return [
        ...errors,
        { field: '<nil>', reason: 'FieldValueInvalid', body: `Invalid value: "null": ${skipped}` },
      ];
    }
    return [...errors, ...evaluateRules(rules.tree, next, old)];
  };
  return {
    needsVersionOnUpdate: true,
    validate: (object) => check(object),
    validateUpdate: check,
    validateStatusUpdate: check,
  };
}
