import type { Api } from '../api.js';
import type { Exchange } from '../http/exchange.js';
import type { Target } from '../http/resource-handler.js';
import { defaultAudience } from '../http/tokens.js';
import { at, listOf, textOf } from '../kube-object.js';
import { badRequest, conflict, fieldError, invalid, methodNotAllowed, notFound } from '../status-error.js';
import { mustGet } from '../verbs/update.js';

const tokenRequest = { group: 'authentication.k8s.io', plural: 'tokenrequests', kind: 'TokenRequest' };

/** Issues a token for a ServiceAccount, bound to a pod when one is named (authentication.k8s.io/v1, TokenRequest). */
export async function createToken(api: Api, exchange: Exchange, target: Target, name: string): Promise<void> {
  if (exchange.method !== 'POST') throw methodNotAllowed();
  const body = await exchange.readObject();
  const { namespace = '' } = target;
  const account = mustGet(api, target.resource, namespace, name);
  const asked = at(body, 'spec', 'expirationSeconds');
  const expirationSeconds = typeof asked === 'number' ? asked : 3600;
  if (expirationSeconds < 600) {
    throw invalid(tokenRequest, '', [
      fieldError.invalid(
        'spec.expirationSeconds',
        expirationSeconds,
        'may not specify a duration less than 10 minutes',
      ),
    ]);
  }
  const audiences = listOf(at(body, 'spec', 'audiences')).map(String);
  if (audiences.length === 0) audiences.push(defaultAudience);
  const { token, expirationTimestamp } = api.tokens.issue({
    namespace,
    serviceAccount: { name, uid: account.metadata.uid! },
    ...boundObjects(api, namespace, name, body),
    audiences,
    expirationSeconds,
  });
  exchange.sendJson(
    201,
    JSON.stringify({
      kind: 'TokenRequest',
      apiVersion: 'authentication.k8s.io/v1',
      metadata: { name, namespace, creationTimestamp: account.metadata.creationTimestamp },
      spec: { audiences, expirationSeconds, boundObjectRef: at(body, 'spec', 'boundObjectRef') ?? null },
      status: { token, expirationTimestamp },
    }),
  );
}

function boundObjects(
  api: Api,
  namespace: string,
  account: string,
  body: unknown,
): { pod?: { name: string; uid: string }; node?: { name: string; uid: string } } {
  const reference = at(body, 'spec', 'boundObjectRef');
  if (reference === undefined || reference === null) return {};
  if (at(reference, 'kind') !== 'Pod') {
    throw badRequest(`cannot bind token to object of type ${textOf(at(reference, 'kind'))}`);
  }
  const name = textOf(at(reference, 'name'));
  const pod = api.store.get('/pods', namespace, name);
  if (!pod) throw notFound({ group: '', plural: 'pods', kind: 'Pod' }, name);
  const uid = textOf(at(reference, 'uid'));
  if (uid && uid !== pod.metadata.uid) {
    throw conflict(
      { group: '', plural: 'pods', kind: 'Pod' },
      name,
      `the UID in the bound object reference (${uid}) does not match the UID in record. The object might have been deleted and then recreated`,
    );
  }
  if (at(pod.spec, 'serviceAccountName') !== account) {
    throw badRequest(
      `cannot bind token for serviceaccount "${account}" to pod running with different serviceaccount name.`,
    );
  }
  const nodeName = textOf(at(pod.spec, 'nodeName'));
  const node = nodeName ? api.store.get('/nodes', undefined, nodeName) : undefined;
  return {
    pod: { name, uid: pod.metadata.uid! },
    ...(node ? { node: { name: nodeName, uid: node.metadata.uid! } } : {}),
  };
}
