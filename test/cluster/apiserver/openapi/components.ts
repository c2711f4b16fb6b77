/** Schemas as they are published: built-in ones by name, referring to each other; those of custom resources whole. */
import { builtinSchema } from '../schema/builtin-schema.js';
import type { Schema } from '../schema/schema.js';
import { apiVersionOf, type Resource } from '../resources/resource.js';
import { modelDocs } from './model-docs.js';

export type Json = { [key: string]: unknown };

/** Where references point to: v3 and v2 name the place differently. */
export type RefPrefix = '#/components/schemas/' | '#/definitions/';

export class Components {
  readonly schemas: Record<string, Json> = {};

  constructor(readonly prefix: RefPrefix) {}

  /** Publishes a resource's schema and returns its name. */
  add(resource: Resource): string {
    const gvk = [{ group: resource.group, version: resource.version, kind: resource.kind }];
    if (!resource.isCustom && resource.schema.model) {
      const name = this.#model(resource.schema.model, resource.schema);
      this.schemas[name]!['x-kubernetes-group-version-kind'] = gvk;
      return name;
    }
    const name = `${[...resource.group.split('.')].reverse().join('.')}.${resource.version}.${resource.kind}`;
    this.schemas[name] = { ...this.#custom(resource), 'x-kubernetes-group-version-kind': gvk };
    return name;
  }

  addList(resource: Resource, item: string): string {
    const name = `${item}List`;
    this.schemas[name] = {
      description: `${resource.kind}List is a list of ${resource.kind}.`,
      type: 'object',
      required: ['items'],
      properties: {
        apiVersion: { type: 'string' },
        kind: { type: 'string' },
        metadata: this.#ref(builtinSchema('V1ListMeta')),
        items: { type: 'array', items: { $ref: this.prefix + item } },
      },
      'x-kubernetes-group-version-kind': [
        { group: resource.group, version: resource.version, kind: resource.listKind },
      ],
    };
    return name;
  }

  addModel(model: string): string {
    return this.#model(model, builtinSchema(model));
  }

  #custom(resource: Resource): Json {
    const { schema } = resource;
    const properties = {
      apiVersion: { type: 'string', description: `Version of the schema: ${apiVersionOf(resource)}.` },
      kind: { type: 'string', description: `Kind of this object: ${resource.kind}.` },
      ...schema.properties,
      metadata: {
        description: "Standard object's metadata.",
        ...this.#ref(builtinSchema('V1ObjectMeta')),
      },
    };
    return { ...schema, type: 'object', properties };
  }

  #model(model: string, schema: Schema): string {
    const name = `io.k8s.${model.replace(/^V(\d+(?:(?:alpha|beta)\d+)?)(?=[A-Z])/, 'v$1.')}`;
    if (this.schemas[name]) return name;
    const published: Json = {};
    this.schemas[name] = published;
    const docs = modelDocs(model);
    const properties: Json = {};
    const required: string[] = [];
    for (const [field, property] of Object.entries(schema.properties ?? {})) {
      const about = docs.fields.get(field);
      properties[field] = {
        ...(about?.description ? { description: about.description } : {}),
        ...this.#value(property),
      };
      if (about?.isRequired) required.push(field);
    }
    Object.assign(published, {
      ...(docs.description ? { description: docs.description } : {}),
      type: 'object',
      ...(required.length > 0 ? { required } : {}),
      properties,
      ...extensions(schema),
    });
    return name;
  }

  #value(schema: Schema): Json {
    if (schema.model) return { ...this.#ref(schema), ...extensions(schema) };
    const { properties: _properties, items, additionalProperties, ...rest } = schema;
    return {
      ...rest,
      ...(schema['x-kubernetes-int-or-string'] ? { type: 'string', format: 'int-or-string' } : {}),
      ...(items ? { items: this.#value(items) } : {}),
      ...(typeof additionalProperties === 'object'
        ? { additionalProperties: this.#value(additionalProperties) }
        : {}),
    };
  }

  /** Beside a reference other words are allowed only when it is wrapped (OpenAPI 3.0: siblings of $ref are ignored). */
  #ref(schema: Schema): Json {
    const reference = { $ref: this.prefix + this.#model(schema.model!, schema) };
    return this.prefix === '#/definitions/' ? reference : { allOf: [reference] };
  }
}

function extensions(schema: Schema): Json {
  return Object.fromEntries(Object.entries(schema).filter(([key]) => key.startsWith('x-kubernetes-')));
}
