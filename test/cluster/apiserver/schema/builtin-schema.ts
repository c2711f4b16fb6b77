/**
 * Schemas of the built-in kinds, made from the models that @kubernetes/client-node generates from the API's own
 * OpenAPI document. Built when first asked for; models that refer to each other share their schema objects.
 */
import * as models from '@kubernetes/client-node';
import { atomicModels, mergeHints, quantityFields } from './merge-keys.js';
import type { Schema } from './schema.js';

interface Attribute {
  baseName: string;
  type: string;
  format: string;
}

interface Model {
  getAttributeTypeMap(): Attribute[];
}

const built = new Map<string, Schema>();

function modelOf(name: string): Model | undefined {
  const model = (models as unknown as Record<string, Model | undefined>)[name];
  return typeof model?.getAttributeTypeMap === 'function' ? model : undefined;
}

/** The schema of a generated model such as `V1Pod`. Throws when there is no such model. */
export function builtinSchema(name: string): Schema {
  const known = built.get(name);
  if (known) return known;
  const model = modelOf(name);
  if (!model) throw new Error(`@kubernetes/client-node has no model ${name}`);
  const properties: Record<string, Schema> = {};
  const schema: Schema = { type: 'object', model: name, properties };
  if (atomicModels.has(name)) schema['x-kubernetes-map-type'] = 'atomic';
  // Known before its fields are: JSONSchemaProps contains itself.
  built.set(name, schema);
  for (const attribute of model.getAttributeTypeMap()) {
    const field = quantityFields[name]?.includes(attribute.baseName)
      ? quantitySchema(attribute.type)
      : typeSchema(attribute.type, attribute.format);
    const hint = mergeHints[name]?.[attribute.baseName];
    // A hint belongs to the field, not to the model that the field refers to.
    properties[attribute.baseName] = hint ? { ...field, ...hint } : field;
  }
  return schema;
}

function quantitySchema(type: string): Schema {
  const quantity: Schema = { type: 'string', format: 'quantity' };
  return type === 'string' ? quantity : { type: 'object', additionalProperties: quantity };
}

function typeSchema(type: string, format: string): Schema {
  const list = /^(?:Array|Set)<(.*)>$/.exec(type);
  if (list) return { type: 'array', items: typeSchema(list[1]!, format) };
  const map = /^\{ \[key: string\]: (.*); \}$/.exec(type);
  if (map) return { type: 'object', additionalProperties: typeSchema(map[1]!, format) };
  switch (type) {
    case 'string':
      return format ? { type: 'string', format } : { type: 'string' };
    case 'boolean':
      return { type: 'boolean' };
    case 'number':
      return format === 'double' ? { type: 'number', format } : { type: 'integer', format };
    case 'Date':
      return { type: 'string', format: 'date-time' };
    case 'V1MicroTime':
      return { type: 'string', format: 'date-time' };
    case 'IntOrString':
      return { 'x-kubernetes-int-or-string': true };
    case 'any':
    case 'object':
      return { 'x-kubernetes-preserve-unknown-fields': true };
    default:
      return builtinSchema(type);
  }
}
