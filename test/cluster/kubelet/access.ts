/** Who may ask the kubelet's server, found out as the kubelet does: a client certificate, or a token that the API server reviews. */
import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';
import type { KubeClient } from '../../../common/kube/client.js';
import { HttpError } from './http-error.js';

interface User {
  username: string;
  groups: string[];
}

const verbs: Readonly<Record<string, string>> = {
  POST: 'create',
  GET: 'get',
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
};

/** @throws HttpError 401 or 403 in the kubelet's words */
export async function checkAccess(
  kube: KubeClient,
  nodeName: string,
  request: IncomingMessage,
  area: string,
): Promise<void> {
  const user = userOfCertificate(request.socket as TLSSocket) ?? (await userOfToken(kube, request));
  if (!user) throw new HttpError(401, 'Unauthorized');
  // The API server allows it to them without looking further.
  if (user.groups.includes('system:masters')) return;
  const verb = verbs[request.method ?? ''] ?? '';
  // Checkpoints have a permission of their own, which nodes/proxy does not hold (kubernetes pkg/kubelet/server/auth.go).
  const subresource = area === 'checkpoint' ? 'checkpoint' : 'proxy';
  if (await isAllowed(kube, user, { verb, subresource, name: nodeName })) return;
  throw new HttpError(
    403,
    `Forbidden (user=${user.username}, verb=${verb}, resource=nodes, subresource(s)=[${subresource}])`,
  );
}

function userOfCertificate(socket: TLSSocket): User | undefined {
  if (!socket.authorized) return undefined;
  const subject = socket.getPeerCertificate().subject as
    { CN?: string | string[]; O?: string | string[] } | undefined;
  const [username] = [subject?.CN ?? []].flat();
  if (!username) return undefined;
  return { username, groups: [...[subject?.O ?? []].flat(), 'system:authenticated'] };
}

async function userOfToken(kube: KubeClient, request: IncomingMessage): Promise<User | undefined> {
  const token = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1];
  if (!token) return undefined;
  const review = await kube.json<{
    status?: { authenticated?: boolean; user?: { username?: string; groups?: string[] } };
  }>('POST', '/apis/authentication.k8s.io/v1/tokenreviews', {
    body: { kind: 'TokenReview', apiVersion: 'authentication.k8s.io/v1', metadata: {}, spec: { token } },
  });
  const { authenticated, user } = review.status ?? {};
  if (!authenticated || !user?.username) return undefined;
  return { username: user.username, groups: user.groups ?? [] };
}

async function isAllowed(
  kube: KubeClient,
  user: User,
  attributes: { verb: string; subresource: string; name: string },
): Promise<boolean> {
  const review = await kube.json<{ status?: { allowed?: boolean } }>(
    'POST',
    '/apis/authorization.k8s.io/v1/subjectaccessreviews',
    {
      body: {
        kind: 'SubjectAccessReview',
        apiVersion: 'authorization.k8s.io/v1',
        metadata: {},
        spec: {
          user: user.username,
          groups: user.groups,
          resourceAttributes: { ...attributes, version: 'v1', resource: 'nodes' },
        },
      },
    },
  );
  return review.status?.allowed === true;
}
