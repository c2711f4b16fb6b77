/** Which representation of objects a client wants (header Accept). */
import { notAcceptable } from '../status-error.js';

export type Representation = 'object' | 'table' | 'partial';

export interface Wanted {
  as: Representation;
  yaml: boolean;
}

const supported = ['application/json', 'application/yaml'];

/** The first of the accepted media types that we have. Protobuf and CBOR are passed over. */
export function negotiate(accept: string): Wanted {
  if (accept === '') return { as: 'object', yaml: false };
  for (const entry of accept.split(',')) {
    const [type = '', ...rest] = entry.split(';').map((part) => part.trim());
    const parameters = new Map(rest.map((part) => part.split('=', 2) as [string, string]));
    const yaml = type === 'application/yaml';
    if (!yaml && type !== 'application/json' && type !== '*/*' && type !== 'application/*') continue;
    const as = parameters.get('as');
    if (as === undefined) return { as: 'object', yaml };
    if (parameters.get('g') !== 'meta.k8s.io' || parameters.get('v') !== 'v1') continue;
    if (as === 'Table') return { as: 'table', yaml };
    if (as === 'PartialObjectMetadata' || as === 'PartialObjectMetadataList') return { as: 'partial', yaml };
  }
  throw notAcceptable(supported);
}
