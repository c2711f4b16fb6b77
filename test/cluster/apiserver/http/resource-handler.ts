/** Requests about resources: which verb they mean, and what comes back. */
import { stringify } from 'yaml';
import type { Api } from '../api.js';
import type { KubeObject } from '../kube-object.js';
import type { Resource } from '../resources/resource.js';
import { badRequest, methodNotAllowed, noSuchPath } from '../status-error.js';
import { handleSubresource, type SubresourceServices } from '../subresources/handle.js';
import { createObject } from '../verbs/create.js';
import { deleteCollection } from '../verbs/delete-collection.js';
import { deleteObject, deleteOptions, type Deletion } from '../verbs/delete.js';
import { listObjects } from '../verbs/list.js';
import { patchObject } from '../verbs/patch.js';
import { mustGet, updateObject, type Part } from '../verbs/update.js';
import { watchObjects, type WatchSink } from '../verbs/watch.js';
import type { Exchange } from './exchange.js';
import { negotiate } from './negotiate.js';
import type { ResourcePath } from './path.js';
import { listedJson, objectJson, watchEncoder } from './represent.js';

export interface Target extends ResourcePath {
  resource: Resource;
}

export async function handleResource(
  api: Api,
  services: SubresourceServices,
  exchange: Exchange,
  path: ResourcePath,
): Promise<void> {
  const resource = api.registry.find(path.group, path.version, path.plural);
  if (!resource) throw noSuchPath();
  if (path.namespace !== undefined && !resource.namespaced) throw noSuchPath();
  const target: Target = { ...path, resource };
  if (path.name === undefined) return handleCollection(api, exchange, target);
  if (resource.namespaced && path.namespace === undefined) throw noSuchPath();
  if (path.subresource === undefined) return handleObject(api, exchange, target, path.name, 'object');
  if (path.subresource === 'status' && resource.hasStatus) {
    return handleObject(api, exchange, target, path.name, 'status');
  }
  return handleSubresource(api, services, exchange, target, path.name, path.subresource);
}

async function handleCollection(api: Api, exchange: Exchange, target: Target): Promise<void> {
  const { resource, namespace } = target;
  switch (exchange.method) {
    case 'GET':
    case 'HEAD': {
      const { as } = negotiate(exchange.accept);
      if (isWatch(exchange, target)) return startWatch(api, exchange, target);
      const listed = listObjects(api, resource, namespace, exchange.query);
      return sendSerialized(exchange, 200, listedJson(resource, listed, as, exchange.query));
    }
    case 'POST': {
      if (resource.namespaced && namespace === undefined) throw methodNotAllowed();
      const body = await exchange.readObject();
      const created = createObject(api, resource, namespace, body, exchange.context());
      return sendObject(exchange, resource, 201, created);
    }
    case 'DELETE': {
      const body = await exchange.readObject();
      const options = deleteOptions(body, exchange.query);
      const deleted = deleteCollection(api, resource, namespace, exchange.query, options, exchange.context());
      return sendSerialized(exchange, 200, listedJson(resource, deleted, 'object', exchange.query));
    }
    default:
      throw methodNotAllowed();
  }
}

async function handleObject(
  api: Api,
  exchange: Exchange,
  target: Target,
  name: string,
  part: Part,
): Promise<void> {
  const { resource, namespace } = target;
  switch (exchange.method) {
    case 'GET':
    case 'HEAD':
      if (isWatch(exchange, target)) {
        exchange.query.set('fieldSelector', `metadata.name=${name}`);
        return startWatch(api, exchange, target);
      }
      return sendObject(exchange, resource, 200, mustGet(api, resource, namespace, name));
    case 'PUT': {
      const body = await exchange.readObject();
      const updated = updateObject(api, resource, namespace, name, part, body, exchange.context());
      return sendObject(exchange, resource, 200, updated);
    }
    case 'PATCH': {
      const body = await exchange.readObject();
      const request = {
        contentType: exchange.contentType,
        body,
        force: exchange.query.get('force') === 'true',
      };
      const { object, isNew } = patchObject(
        api,
        resource,
        namespace,
        name,
        part,
        request,
        exchange.context(),
      );
      return sendObject(exchange, resource, isNew ? 201 : 200, object);
    }
    case 'DELETE': {
      if (part === 'status') throw methodNotAllowed();
      const body = await exchange.readObject();
      const options = deleteOptions(body, exchange.query);
      const deletion = deleteObject(api, resource, namespace, name, options, exchange.context());
      return sendDeletion(exchange, resource, deletion);
    }
    default:
      throw methodNotAllowed();
  }
}

function isWatch(exchange: Exchange, target: Target): boolean {
  const asked = exchange.query.get('watch');
  return target.isWatch || asked === 'true' || asked === '1';
}

function startWatch(api: Api, exchange: Exchange, target: Target): void {
  const { resource, namespace } = target;
  const { as, yaml } = negotiate(exchange.accept);
  if (yaml) throw badRequest('watches are served as JSON');
  const encoder = watchEncoder(resource, as, exchange.query);
  watchObjects(api, resource, namespace, exchange.query, encoder, () => openSink(exchange));
}

const maxUnreadBytes = 64 * 1024 * 1024;

function openSink(exchange: Exchange): WatchSink {
  const { response } = exchange;
  response.writeHead(200, { 'Content-Type': 'application/json', 'Cache-Control': 'no-cache, private' });
  response.flushHeaders();
  return {
    send: (line) => {
      response.write(line);
      // A client that does not read is cut off, as by the real server; it lists again.
      if (response.writableLength > maxUnreadBytes) response.destroy();
    },
    end: () => void response.end(),
    onClose: (callback) => void response.once('close', callback),
  };
}

export function sendObject(exchange: Exchange, resource: Resource, code: number, object: KubeObject): void {
  const { as } = negotiate(exchange.accept);
  sendSerialized(exchange, code, objectJson(resource, object, as, exchange.query));
}

/** Sends JSON, or the same as YAML when the client asked for that. */
export function sendSerialized(exchange: Exchange, code: number, json: string): void {
  if (negotiate(exchange.accept).yaml) {
    exchange.sendJson(code, stringify(JSON.parse(json)), 'application/yaml');
  } else {
    exchange.sendJson(code, json);
  }
}

function sendDeletion(exchange: Exchange, resource: Resource, { object, isGone }: Deletion): void {
  if (!isGone || resource.strategy.returnsDeletedObject) {
    sendObject(exchange, resource, 200, object);
    return;
  }
  exchange.sendJson(
    200,
    JSON.stringify({
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Success',
      details: {
        name: object.metadata.name,
        ...(resource.group ? { group: resource.group } : {}),
        kind: resource.plural,
        uid: object.metadata.uid,
      },
    }),
  );
}
