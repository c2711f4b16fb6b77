import jsonPatch from 'fast-json-patch';
import { badRequest, StatusError } from '../status-error.js';

/** JSON patch (RFC 6902) on `target`, in place. A test that fails or a path that is missing is a 422. */
export function applyJsonPatch(target: unknown, patch: unknown): unknown {
  if (!Array.isArray(patch)) {
    throw badRequest(
      'error decoding patch: json: cannot unmarshal object into Go value of type jsonpatch.Patch',
    );
  }
  try {
    // Validation is on: otherwise replacing or removing what is not there would pass silently.
    return jsonPatch.applyPatch(target, patch as jsonPatch.Operation[], true, true).newDocument;
  } catch {
    // Without a word on the operation that failed, as from the real server.
    throw new StatusError(
      422,
      'Invalid',
      'the server rejected our request due to an error in our request',
      {},
    );
  }
}
