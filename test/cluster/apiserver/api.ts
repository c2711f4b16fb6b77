/** What the parts of the server share: the state, what is served, and who signs tokens. */
import type { Registry } from './resources/registry.js';
import type { Resource, RequestContext } from './resources/resource.js';
import type { Store } from './storage/store.js';
import type { TokenIssuer } from './http/tokens.js';

export interface Api {
  store: Store;
  registry: Registry;
  tokens: TokenIssuer;
  /** PEM of the authority that clients verify the server with; published as kube-root-ca.crt. */
  caCert: string;
}

/** The server's own writes: nobody to warn, nothing dry. */
export function systemContext(name: string): RequestContext {
  return {
    user: { username: `system:${name}`, groups: ['system:masters'] },
    dryRun: false,
    fieldManager: name,
    fieldValidation: 'Ignore',
    warn: () => undefined,
  };
}

/** The resource that a built-in storage is served as. Throws for one that is not served: a mistake in the code. */
export function builtinResource(api: Api, storage: string): Resource {
  const resource = api.registry.storedAs(storage);
  if (!resource) throw new Error(`no resource is stored as ${storage}`);
  return resource;
}
