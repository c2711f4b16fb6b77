import type { Api } from '../api.js';
import type { RequestContext, Resource } from '../resources/resource.js';
import { StatusError } from '../status-error.js';
import { deleteObject, type DeleteOptions } from './delete.js';
import { listObjects, type Listed } from './list.js';

/** Deletes every object that the query selects and returns them as they were. */
export function deleteCollection(
  api: Api,
  resource: Resource,
  namespace: string | undefined,
  query: URLSearchParams,
  options: DeleteOptions,
  context: RequestContext,
): Listed {
  const listed = listObjects(api, resource, namespace, query);
  for (const object of listed.items) {
    try {
      deleteObject(api, resource, object.metadata.namespace, object.metadata.name, options, context);
    } catch (error) {
      // One that went meanwhile is what was asked for.
      if (!(error instanceof StatusError && error.code === 404)) throw error;
    }
  }
  return listed;
}
