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
  } catch (error) {
    const name = error instanceof Error ? error.name : '';
    throw new StatusError(
      422,
      'Invalid',
      `the server rejected our request due to an error in our request: ${describe(name, error)}`,
      {},
    );
  }
}

function describe(name: string, error: unknown): string {
  const index = (error as { index?: number }).index;
  const operation = (error as { operation?: { op?: string; path?: string } }).operation;
  const where = operation ? ` (operation ${index}: ${operation.op} ${operation.path})` : '';
  if (name === 'TEST_OPERATION_FAILED') return `testing value failed${where}`;
  return `${name.toLowerCase().replaceAll('_', ' ')}${where}`;
}
