/** The agent's identity: what somebody put into --tls-dir, else what the controller issues. */
import { existsSync, readFileSync } from 'node:fs';
import { firstOf } from '../../common/identity/first-of.js';
import { GivenIdentity } from '../../common/identity/given.js';
import type { IdentitySource } from '../../common/identity/identity.js';
import { LpmError, messageOf } from '../../common/errors.js';
import type { Host } from '../host.js';
import type { Logger } from '../log.js';
import { askSigners } from './ask-signer.js';
import { publishedAuthority } from './authority.js';
import { IssuedIdentity } from './issued.js';
import { removeStored } from './stored.js';

/** As the kubelet mounts it into every pod. */
const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

export const identityFlags = {
  'tls-dir': {
    type: 'string',
    default: '/etc/lpm/tls',
    describe:
      'folder with tls.crt, tls.key and ca.crt; without them the controller is asked for a certificate',
  },
  'identity-token': {
    type: 'string',
    default: '/var/run/secrets/lpm/token',
    describe: 'ServiceAccount token with which a certificate is asked for',
  },
  'identity-dir': {
    type: 'string',
    describe: 'folder for the certificate that the controller issues, with its key (default: --state-dir)',
  },
} as const;

export interface IdentityOptions {
  /** Looked for in the agent's own root first, then on the node. */
  tlsDir: string;
  host: Host;
  tokenFile: string;
  /** Default: stateDir. */
  identityDir?: string | undefined;
  stateDir: string;
  nodeName: string;
  log: Logger;
}

/** @throws InvalidArgument when there is neither a certificate nor a way to one */
export function startIdentity({
  tlsDir,
  host: node,
  tokenFile,
  stateDir,
  identityDir: folder = stateDir,
  nodeName,
  log,
}: IdentityOptions): IdentitySource {
  const given = new GivenIdentity([tlsDir, node.path(tlsDir)], (problem) =>
    log.warn('certificates cannot be used', { problem }),
  );
  if (given.current) return given;
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = process.env;
  if (!host || !existsSync(tokenFile)) {
    given.close();
    throw new LpmError('InvalidArgument', `There are no certificates in ${tlsDir}.`, {
      hint: `Put tls.crt, tls.key and ca.crt there. Only an agent that runs as a pod, with a token in ${tokenFile}, can ask the controller for its own.`,
    });
  }
  // What an earlier version has left on the node.
  if (folder !== stateDir) removeStored(stateDir);
  const issued = new IssuedIdentity({
    ...{ folder, nodeName, log },
    authority: () => publishedAuthority({ host, port: Number(port ?? 443), account: SERVICE_ACCOUNT }),
    sign: askSigners,
    token: () => readToken(tokenFile),
  });
  return firstOf(given, issued);
}

function readToken(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new LpmError('NoCertificate', `The token ${file} cannot be read: ${messageOf(error)}.`, {
      cause: error,
    });
  }
}
