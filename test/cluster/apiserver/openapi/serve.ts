/** /openapi/v3 and /openapi/v2: what kubectl validates, merges and explains by. Built when asked for, kept until the resources change. */
import { createHash } from 'node:crypto';
import type { Api } from '../api.js';
import type { Exchange } from '../http/exchange.js';
import type { Resource } from '../resources/resource.js';
import { noSuchPath, notAcceptable } from '../status-error.js';
import { serverVersion } from '../version.js';
import { Components, type Json } from './components.js';
import { resourcePaths } from './paths.js';

interface Published {
  revision: number;
  documents: Map<string, string>;
}

const published = new WeakMap<Api, Published>();

function documentsOf(api: Api): Map<string, string> {
  const { revision } = api.registry;
  const known = published.get(api);
  if (known?.revision === revision) return known.documents;
  const documents = new Map<string, string>();
  published.set(api, { revision, documents });
  return documents;
}

export function serveOpenApi(api: Api, exchange: Exchange): void {
  const { pathname } = exchange.url;
  if (!/(^$|json|\*\/\*)/.test(exchange.accept)) throw notAcceptable(['application/json']);
  if (pathname === '/openapi/v2')
    return exchange.sendJson(
      200,
      cached(api, 'v2', () => swagger(api)),
    );
  if (pathname === '/openapi/v3')
    return exchange.sendJson(
      200,
      cached(api, 'v3', () => index(api)),
    );
  const place = /^\/openapi\/v3\/(.+)$/.exec(pathname)?.[1];
  const resources = place === undefined ? undefined : byPlace(api).get(place);
  if (!place || !resources) throw noSuchPath();
  exchange.sendJson(
    200,
    cached(api, place, () => document(resources)),
  );
}

function cached(api: Api, place: string, build: () => Json): string {
  const documents = documentsOf(api);
  let text = documents.get(place);
  if (text === undefined) documents.set(place, (text = JSON.stringify(build())));
  return text;
}

function byPlace(api: Api): Map<string, Resource[]> {
  const places = new Map<string, Resource[]>();
  for (const [group, versions] of api.registry.groups()) {
    for (const [version, resources] of versions) {
      places.set(group === '' ? `api/${version}` : `apis/${group}/${version}`, resources);
    }
  }
  return places;
}

function index(api: Api): Json {
  const paths: Json = {};
  for (const [place, resources] of byPlace(api)) {
    const custom = resources.filter((resource) => resource.isCustom).map((resource) => resource.schema);
    const hash = createHash('sha256').update(
      `${serverVersion.gitVersion} ${place} ${JSON.stringify(custom)}`,
    );
    paths[place] = { serverRelativeURL: `/openapi/v3/${place}?hash=${hash.digest('hex').toUpperCase()}` };
  }
  return { paths };
}

const info = { title: 'Kubernetes (local test cluster)', version: serverVersion.gitVersion };

function document(resources: Resource[]): Json {
  const components = new Components('#/components/schemas/');
  const paths: Json = {};
  for (const resource of resources) {
    const name = components.add(resource);
    const list = components.addList(resource, name);
    const reference = (of: string) => ({ $ref: components.prefix + of });
    Object.assign(paths, resourcePaths(resource, reference(name), reference(list)));
  }
  components.addModel('V1DeleteOptions');
  return { openapi: '3.0.0', info, paths, components: { schemas: components.schemas } };
}

/** Swagger 2.0 for old clients: the same schemas, without the paths' details. */
function swagger(api: Api): Json {
  const components = new Components('#/definitions/');
  for (const resource of api.registry.all()) components.addList(resource, components.add(resource));
  return { swagger: '2.0', info, paths: {}, definitions: components.schemas };
}
