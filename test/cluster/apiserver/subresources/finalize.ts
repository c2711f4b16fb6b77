import type { Api } from '../api.js';
import type { Exchange } from '../http/exchange.js';
import { sendObject, type Target } from '../http/resource-handler.js';
import { at, listOf, type KubeObject } from '../kube-object.js';
import { methodNotAllowed } from '../status-error.js';
import { mustGet } from '../verbs/update.js';

/** Sets spec.finalizers of a namespace; one that is being deleted goes with the last of them. */
export async function finalizeNamespace(
  api: Api,
  exchange: Exchange,
  target: Target,
  name: string,
): Promise<void> {
  if (exchange.method !== 'PUT') throw methodNotAllowed();
  const body = await exchange.readObject();
  const old = mustGet(api, target.resource, undefined, name);
  const finalizers = listOf(at(body, 'spec', 'finalizers')).map(String);
  sendObject(exchange, target.resource, 200, setNamespaceFinalizers(api, old, finalizers));
}

export function setNamespaceFinalizers(api: Api, old: KubeObject, finalizers: string[]): KubeObject {
  const next: KubeObject = { ...old, spec: finalizers.length > 0 ? { finalizers } : {} };
  const isDone =
    old.metadata.deletionTimestamp !== undefined &&
    finalizers.length === 0 &&
    !old.metadata.finalizers?.length;
  const stored = api.store.put('/namespaces', next);
  return isDone ? (api.store.remove('/namespaces', undefined, old.metadata.name) ?? stored) : stored;
}
