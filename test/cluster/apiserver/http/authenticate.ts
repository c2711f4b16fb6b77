/** Finds out who asks: a client certificate, a token of the configuration, or a ServiceAccount's token. */
import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';
import type { Api } from '../api.js';
import type { User } from '../resources/resource.js';

export type TokenUsers = Record<string, { username: string; groups: string[] }>;

const bySocket = new WeakMap<TLSSocket, User>();

/** The user, or undefined for a request that carries no valid credential. */
export function authenticate(api: Api, tokens: TokenUsers, request: IncomingMessage): User | undefined {
  const bearer = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1];
  if (bearer !== undefined) return userOfToken(api, tokens, bearer);
  const protocolToken = tokenOfWebSocket(request);
  if (protocolToken !== undefined) return userOfToken(api, tokens, protocolToken);
  return userOfCertificate(request.socket as TLSSocket);
}

/** Browsers cannot set headers on WebSockets: the API server takes a token from the subprotocols too. */
function tokenOfWebSocket(request: IncomingMessage): string | undefined {
  const match = /(?:^|,\s*)base64url\.bearer\.authorization\.k8s\.io\.([A-Za-z0-9_-]+)/.exec(
    request.headers['sec-websocket-protocol'] ?? '',
  );
  return match ? Buffer.from(match[1]!, 'base64url').toString() : undefined;
}

function userOfCertificate(socket: TLSSocket): User | undefined {
  const known = bySocket.get(socket);
  if (known) return known;
  if (!socket.authorized) return undefined;
  const subject = socket.getPeerCertificate().subject as
    { CN?: string | string[]; O?: string | string[] } | undefined;
  const names = [subject?.CN ?? []].flat();
  if (names.length === 0) return undefined;
  const user: User = {
    username: names[0]!,
    groups: [...[subject?.O ?? []].flat(), 'system:authenticated'],
  };
  bySocket.set(socket, user);
  return user;
}

/** The user behind a token; undefined when it is unknown, expired, or its account or pod is gone. */
export function userOfToken(api: Api, tokens: TokenUsers, token: string): User | undefined {
  const configured = tokens[token];
  if (configured) {
    return { username: configured.username, groups: [...configured.groups, 'system:authenticated'] };
  }
  const payload = api.tokens.verify(token);
  if (!payload) return undefined;
  const { namespace, serviceaccount, pod, node } = payload['kubernetes.io'];
  const account = api.store.get('/serviceaccounts', namespace, serviceaccount.name);
  if (account?.metadata.uid !== serviceaccount.uid) return undefined;
  if (pod && api.store.get('/pods', namespace, pod.name)?.metadata.uid !== pod.uid) return undefined;
  return {
    username: payload.sub,
    uid: serviceaccount.uid,
    groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'],
    extra: {
      'authentication.kubernetes.io/credential-id': [`JTI=${payload.jti}`],
      ...(pod
        ? {
            'authentication.kubernetes.io/pod-name': [pod.name],
            'authentication.kubernetes.io/pod-uid': [pod.uid],
          }
        : {}),
      ...(node
        ? {
            'authentication.kubernetes.io/node-name': [node.name],
            'authentication.kubernetes.io/node-uid': [node.uid],
          }
        : {}),
    },
  };
}
