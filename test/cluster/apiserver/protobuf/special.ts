/** Types that are messages in protobuf and plain values in JSON. */
import type { Schema } from '../schema/schema.js';
import { microTimestamp, timestamp } from '../time.js';
import { Reader } from './reader.js';

type Special = { is: false } | { is: true; value: unknown };

export function specialValue(schema: Schema, data: Buffer): Special {
  if (schema['x-kubernetes-int-or-string']) return { is: true, value: intOrString(data) };
  switch (schema.format) {
    case 'quantity':
      return { is: true, value: text(field(data, 1)) };
    case 'date-time':
    case 'date-time-micro':
      return { is: true, value: time(data, schema.format === 'date-time-micro') };
    case 'byte':
      return { is: true, value: data.toString('base64') };
    default:
      break;
  }
  // RawExtension and FieldsV1 hold JSON.
  if (schema['x-kubernetes-preserve-unknown-fields']) return { is: true, value: json(field(data, 1)) };
  return { is: false };
}

function field(data: Buffer, wanted: number): unknown {
  for (const [number, value] of new Reader(data).fields()) if (number === wanted) return value;
  return undefined;
}

function text(value: unknown): string | undefined {
  return Buffer.isBuffer(value) ? value.toString() : undefined;
}

function json(value: unknown): unknown {
  const source = text(value);
  if (!source) return undefined;
  try {
    return JSON.parse(source) as unknown;
  } catch {
    return undefined;
  }
}

/** IntOrString: type (0 int, 1 string), intVal, strVal. */
function intOrString(data: Buffer): unknown {
  if (field(data, 1) === 1n) return text(field(data, 3)) ?? '';
  const value = field(data, 2);
  return typeof value === 'bigint' ? Number(BigInt.asIntN(64, value)) : 0;
}

/** Time: seconds since 1970 and nanoseconds. An empty message is no time. */
function time(data: Buffer, isMicro: boolean): string | undefined {
  const seconds = field(data, 1);
  if (typeof seconds !== 'bigint') return undefined;
  const nanoseconds = field(data, 2);
  const atMs = Number(BigInt.asIntN(64, seconds)) * 1000 + Number(nanoseconds ?? 0n) / 1e6;
  if (atMs < 0) return undefined;
  return isMicro ? microTimestamp(atMs) : timestamp(atMs);
}
