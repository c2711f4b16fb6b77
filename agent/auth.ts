import type { AuthContext } from '@grpc/grpc-js/build/src/auth-context.js';
import { AGENT_ORGANIZATION, CONTROLLER_ORGANIZATION } from '../common/api/names.js';
import { LpmError } from '../common/errors.js';

/** The methods that other agents may call. */
const AGENT_METHODS = new Set(['pullArtifacts', 'readArchive']);

/**
 * Roles of a caller: the organizations (O) of its certificate, which TLS has verified already.
 *
 * @throws NotAuthorized, or NoCertificate when it has expired: TLS looks at that when a connection begins, and those are kept open
 */
export function authorize(method: string, context: AuthContext, now = Date.now()): void {
  const certificate = context.sslPeerCertificate;
  const { O: organization, CN: commonName } = (certificate?.subject ?? {}) as {
    O?: string | string[];
    CN?: string;
  };
  if (certificate?.valid_to && Date.parse(certificate.valid_to) <= now) {
    throw new LpmError(
      'NoCertificate',
      `The certificate of "${commonName ?? 'nobody'}" has expired (${certificate.valid_to}).`,
      { hint: 'Its holder renews it; a new one needs a new connection.' },
    );
  }
  const organizations = organization === undefined ? [] : [organization].flat();
  if (organizations.includes(CONTROLLER_ORGANIZATION)) return;
  if (organizations.includes(AGENT_ORGANIZATION) && AGENT_METHODS.has(method)) return;
  throw new LpmError(
    'NotAuthorized',
    `The certificate of "${commonName ?? 'nobody'}" (O=${organizations.join(',') || 'none'}) does not allow ${method}.`,
    { hint: `Only ${CONTROLLER_ORGANIZATION} may call it.` },
  );
}
