/** The credentials of gRPC clients, from an identity that changes. */
import { createSecureContext } from 'node:tls';
import { credentials, type ChannelCredentials } from '@grpc/grpc-js';
import { LpmError } from '../errors.js';
import type { Identity, IdentitySource } from '../identity/identity.js';

/** Answers the same object for as long as the identity is the same. Throws NoCertificate when there is none. */
export function clientCredentials(source: IdentitySource): () => ChannelCredentials {
  let made: { identity: Identity; credentials: ChannelCredentials } | undefined;
  return () => {
    const identity = source.current;
    if (!identity) {
      throw new LpmError('NoCertificate', source.problem || 'There is no certificate yet.', {
        hint: 'It is asked for again and again; see /readyz.',
      });
    }
    if (made?.identity !== identity) made = { identity, credentials: channelCredentials(identity) };
    return made.credentials;
  };
}

/** Shows a certificate unless there is none, and accepts only servers of our authorities, by TLS 1.3. */
export function channelCredentials({
  ca,
  ...own
}: Pick<Identity, 'ca'> & Partial<Identity>): ChannelCredentials {
  return credentials.createFromSecureContext(createSecureContext({ ...own, ca, minVersion: 'TLSv1.3' }));
}
