/** ServiceAccount tokens: JSON Web Tokens signed with a key of this server (kubernetes.io: "Bound tokens"). */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  sign,
  verify,
} from 'node:crypto';
import { randomUUID } from 'node:crypto';

export interface TokenClaims {
  namespace: string;
  serviceAccount: { name: string; uid: string };
  pod?: { name: string; uid: string };
  node?: { name: string; uid: string };
  audiences: string[];
  expirationSeconds: number;
}

interface Payload {
  aud: string[];
  exp: number;
  iat: number;
  iss: string;
  jti: string;
  nbf: number;
  sub: string;
  'kubernetes.io': {
    namespace: string;
    serviceaccount: { name: string; uid: string };
    pod?: { name: string; uid: string };
    node?: { name: string; uid: string };
  };
}

/** The issuer and default audience of a cluster as kubeadm makes it. */
export const defaultAudience = 'https://kubernetes.default.svc.cluster.local';

export class TokenIssuer {
  readonly #key;
  readonly #publicKey;
  readonly #keyId: string;

  /** `key` is a PEM private key to go on with, for tokens that were issued before a restart. */
  constructor(key?: string) {
    this.#key = key ? createPrivateKey(key) : generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
    this.#publicKey = createPublicKey(this.#key);
    this.#keyId = createHash('sha256')
      .update(this.#publicKey.export({ type: 'spki', format: 'der' }))
      .digest('base64url');
  }

  exportKey(): string {
    return this.#key.export({ type: 'pkcs8', format: 'pem' }).toString();
  }

  issue(claims: TokenClaims): { token: string; expirationTimestamp: string } {
    const now = Math.floor(Date.now() / 1000);
    const payload: Payload = {
      aud: claims.audiences,
      exp: now + claims.expirationSeconds,
      iat: now,
      iss: defaultAudience,
      jti: randomUUID(),
      nbf: now,
      sub: `system:serviceaccount:${claims.namespace}:${claims.serviceAccount.name}`,
      'kubernetes.io': {
        namespace: claims.namespace,
        serviceaccount: claims.serviceAccount,
        ...(claims.pod ? { pod: claims.pod } : {}),
        ...(claims.node ? { node: claims.node } : {}),
      },
    };
    const head = encode({ alg: 'ES256', kid: this.#keyId, typ: 'JWT' });
    const signed = `${head}.${encode(payload)}`;
    const signature = sign('sha256', Buffer.from(signed), { key: this.#key, dsaEncoding: 'ieee-p1363' });
    return {
      token: `${signed}.${signature.toString('base64url')}`,
      expirationTimestamp: `${new Date(payload.exp * 1000).toISOString().slice(0, 19)}Z`,
    };
  }

  /** The payload of a token that we signed and that has not expired; undefined for any other text. */
  verify(token: string): Payload | undefined {
    const [head, body, signature, ...rest] = token.split('.');
    if (!head || !body || !signature || rest.length > 0) return undefined;
    try {
      const valid = verify(
        'sha256',
        Buffer.from(`${head}.${body}`),
        { key: this.#publicKey, dsaEncoding: 'ieee-p1363' },
        Buffer.from(signature, 'base64url'),
      );
      if (!valid) return undefined;
      const payload = JSON.parse(Buffer.from(body, 'base64url').toString()) as Payload;
      return payload.exp * 1000 > Date.now() ? payload : undefined;
    } catch {
      return undefined;
    }
  }
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
