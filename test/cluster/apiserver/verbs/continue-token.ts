/** Where the next page of a list begins, in the form that Kubernetes gives it (k8s.io/apiserver/pkg/storage/continue.go). */
import { isFields } from '../kube-object.js';
import { badRequest } from '../status-error.js';

export interface ContinueToken {
  /** Version of the first page: what a watch after the last page starts from. Undefined: the state of now will do. */
  version: number | undefined;
  /** Key of the last object before. */
  after: string;
}

const format = 'meta.k8s.io/v1';
/** In place of a version, where consistency was given up. */
const anyVersion = -1;

export function readContinue(text: string | null): ContinueToken | undefined {
  if (!text) return undefined;
  try {
    const token: unknown = JSON.parse(Buffer.from(text, 'base64url').toString());
    if (isFields(token) && token['v'] === format && typeof token['start'] === 'string') {
      const { rv, start } = token as { rv: unknown; start: string };
      if (Number.isInteger(rv)) {
        return { version: rv === anyVersion ? undefined : Number(rv), after: start.replace(/\0$/, '') };
      }
    }
  } catch {
    // Falls through to the same answer as a token of the wrong shape.
  }
  throw badRequest('continue key is not valid: encoded continue token could not be parsed');
}

export function writeContinue({ version = anyVersion, after }: ContinueToken): string {
  // The first key that can come after the last one.
  return Buffer.from(JSON.stringify({ v: format, rv: version, start: `${after}\0` })).toString('base64url');
}
