/**
 * For whom a request is made (https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation). Without RBAC
 * the right to do so is that of administrators.
 */
import type { IncomingMessage } from 'node:http';
import type { User } from '../resources/resource.js';
import { forbidden, internalError } from '../status-error.js';

const ADMINISTRATORS = 'system:masters';
const AUTHENTICATED = 'system:authenticated';

/** Who is meant: whoever asks, or whom they impersonate. Throws StatusError. */
export function meantUser(asks: User, { headersDistinct }: IncomingMessage): User {
  const [username] = headersDistinct['impersonate-user'] ?? [];
  const groups = headersDistinct['impersonate-group'] ?? [];
  const [uid] = headersDistinct['impersonate-uid'] ?? [];
  if (username === undefined) {
    if (groups.length === 0 && uid === undefined) return asks;
    throw internalError(`requested ${JSON.stringify({ groups, uid })} without impersonating a user`);
  }
  if (!asks.groups.includes(ADMINISTRATORS)) {
    throw forbidden(
      { group: '', plural: 'users', kind: 'User' },
      username,
      `User "${asks.username}" cannot impersonate resource "users" in API group "" at the cluster scope`,
    );
  }
  return {
    username,
    ...(uid === undefined ? {} : { uid }),
    groups: [...new Set([...groups, AUTHENTICATED])],
  };
}
