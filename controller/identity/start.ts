/** The controller's identity, put together as the flags say: given, or of an authority whose certificates agents come for. */
import { firstOf } from '../../common/identity/first-of.js';
import { GivenIdentity } from '../../common/identity/given.js';
import type { IdentitySource } from '../../common/identity/identity.js';
import type { KubeClient } from '../../common/kube/client.js';
import type { Leadership } from '../leader/leadership.js';
import type { Log } from '../log.js';
import type { Metrics } from '../metrics.js';
import { AuthoritySecret } from './authority-secret.js';
import { certificateTimes, type IdentityFlags } from './flags.js';
import { GivenAuthority } from './given-authority.js';
import { IssuedIdentity } from './issued.js';
import { startPublishing } from './publish.js';
import { serveSigner } from './signer.js';

export interface IdentityOptions {
  flags: IdentityFlags;
  /** For what every replica does: certificates are asked for while nobody leads, too. */
  client: KubeClient;
  /** For what only the leader writes. */
  leaderClient: KubeClient;
  leadership: Leadership;
  namespace: string;
  log: Log;
  metrics: Metrics;
}

export interface ControllerIdentity {
  /** What agents are shown. */
  source: IdentitySource;
  stop(): Promise<void>;
}

/** @throws LpmError with what keeps the controller from having an identity */
export async function startIdentity(options: IdentityOptions): Promise<ControllerIdentity> {
  const { flags, client, namespace, log, metrics } = options;
  const given = new GivenIdentity([flags.tlsDir], (problem) => log.warn(problem));
  if (given.current) {
    log.info(`The certificates in ${flags.tlsDir} are used; agents are not issued any.`);
    return { source: given, stop: async () => given.close() };
  }
  const times = certificateTimes(flags);
  const authorities = flags.caDir
    ? new GivenAuthority(flags.caDir)
    : new AuthoritySecret(client, namespace, times, (step) => log.info('The authorities change.', { step }));
  const issued = await IssuedIdentity.start({ authorities, lifetimeMs: times.certificateMs, log, metrics });
  const signer = flags.signerListen
    ? await serveSigner(flags.signerListen, { identity: issued, client, namespace, log, metrics })
    : undefined;
  const publishing = startPublishing({
    client: options.leaderClient,
    leadership: options.leadership,
    namespace,
    bundle: () => issued.bundle,
    signerPort: signer?.port ?? 0,
    log,
  });
  return {
    source: firstOf(given, issued.controller),
    stop: async () => {
      signer?.close();
      issued.close();
      given.close();
      await publishing.stop();
    },
  };
}
