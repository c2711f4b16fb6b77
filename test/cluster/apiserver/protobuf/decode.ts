/**
 * Reads objects in Kubernetes' protobuf encoding. kubectl's own subcommands (create configmap, create token, auth,
 * drain) send nothing else for built-in kinds; answers they accept in JSON.
 */
import { builtinSchema } from '../schema/builtin-schema.js';
import type { Schema } from '../schema/schema.js';
import type { Fields } from '../kube-object.js';
import { badRequest } from '../status-error.js';
import { specialValue } from './special.js';
import { fieldNumbers } from './field-numbers.js';
import { Reader, type WireValue } from './reader.js';

/** Every message begins with these four bytes, then comes a runtime.Unknown. */
const magic = Buffer.from('k8s\0');

/** Models whose name is not that of the kind. */
const modelNames: Record<string, string> = {
  'authentication.k8s.io/v1/TokenRequest': 'AuthenticationV1TokenRequest',
  'v1/Event': 'CoreV1Event',
};

/** A body of type application/vnd.kubernetes.protobuf as an object. Throws 400 for what is not understood. */
export function decodeProtobuf(body: Buffer): Fields {
  if (!body.subarray(0, 4).equals(magic)) {
    throw badRequest('the body is not in the protobuf encoding of Kubernetes: it does not begin with "k8s"');
  }
  let apiVersion = '';
  let kind = '';
  let raw: Buffer = Buffer.alloc(0);
  for (const [number, value] of new Reader(body.subarray(4)).fields()) {
    if (number === 1) {
      for (const [inner, text] of new Reader(bytes(value)).fields()) {
        if (inner === 1) apiVersion = bytes(text).toString();
        if (inner === 2) kind = bytes(text).toString();
      }
    } else if (number === 2) {
      raw = bytes(value);
    }
  }
  const model = modelNames[`${apiVersion}/${kind}`] ?? `V1${kind}`;
  if (!fieldNumbers[model]) {
    throw badRequest(
      `${kind} in ${apiVersion} is not understood as protobuf by the local test cluster: send JSON`,
    );
  }
  return { apiVersion, kind, ...decodeMessage(model, builtinSchema(model), raw) };
}

function bytes(value: WireValue): Buffer {
  if (Buffer.isBuffer(value)) return value;
  throw badRequest('a protobuf field is not of the wire type that it should be of');
}

interface KnownField {
  name: string;
  /** A message whose fields are its parent's. */
  inline: boolean;
}

const tables = new Map<string, Map<number, KnownField>>();

function tableOf(model: string): Map<number, KnownField> | undefined {
  let table = tables.get(model);
  const text = fieldNumbers[model];
  if (!table && text !== undefined) {
    table = new Map(
      text.split(' ').map((entry) => {
        const [name = '', number] = entry.split('=');
        const inline = name.startsWith('*');
        return [Number(number), { name: inline ? name.slice(1) : name, inline }];
      }),
    );
    tables.set(model, table);
  }
  return table;
}

/** `schema` is that of the JSON object that the fields end up in. */
function decodeMessage(model: string, schema: Schema, data: Buffer): Fields {
  const table = tableOf(model);
  if (!table) throw badRequest(`${model} is not understood as protobuf by the local test cluster: send JSON`);
  const result: Fields = {};
  for (const [number, value] of new Reader(data).fields()) {
    const field = table.get(number);
    // A newer client's field that we do not know: dropped, as an unknown field in JSON is.
    if (!field) continue;
    if (field.inline) {
      Object.assign(result, decodeMessage(field.name, schema, bytes(value)));
      continue;
    }
    const property = schema.properties?.[field.name];
    if (property) addField(result, field.name, property, value);
  }
  return result;
}

function addField(result: Fields, name: string, schema: Schema, value: WireValue): void {
  if (schema.type === 'array') {
    const list = (result[name] ??= []) as unknown[];
    if (schema.items!.type === 'integer' && Buffer.isBuffer(value)) {
      for (const item of new Reader(value).varints()) list.push(Number(item));
    } else {
      list.push(decodeValue(schema.items!, value));
    }
  } else if (typeof schema.additionalProperties === 'object') {
    const map = (result[name] ??= {}) as Fields;
    let key = '';
    let item: unknown = '';
    for (const [number, part] of new Reader(bytes(value)).fields()) {
      if (number === 1) key = bytes(part).toString();
      if (number === 2) item = decodeValue(schema.additionalProperties, part);
    }
    map[key] = item;
  } else {
    const decoded = decodeValue(schema, value);
    // Go writes its empty strings and times; in JSON they are left out.
    if (decoded !== undefined && decoded !== '') result[name] = decoded;
  }
}

function decodeValue(schema: Schema, value: WireValue): unknown {
  if (typeof value === 'bigint')
    return schema.type === 'boolean' ? value !== 0n : Number(BigInt.asIntN(64, value));
  if (typeof value === 'number') return value;
  const special = specialValue(schema, value);
  if (special.is) return special.value;
  if (schema.type === 'string') return value.toString();
  if (schema.type === 'array') return listValue(schema, value);
  if (schema.model) return decodeMessage(schema.model, schema, value);
  return undefined;
}

/** A message that wraps a list (authorization's ExtraValue). */
function listValue(schema: Schema, value: Buffer): unknown[] {
  return [...new Reader(value).fields()].map(([, item]) => decodeValue(schema.items!, item));
}
