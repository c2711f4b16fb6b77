/** The controller's own certificates, and those that it makes for agents, all of the authority that signs now. */
import { X509Certificate } from 'node:crypto';
import type * as x509 from '@peculiar/x509';
import { LpmError, messageOf } from '../../common/errors.js';
import { certificatesOf, IdentityKeeper, isIssuedBy } from '../../common/identity/identity.js';
import { endOf, renewalTime } from '../../common/identity/times.js';
import type { Log } from '../log.js';
import type { Metrics } from '../metrics.js';
import { bundleOf, type Authorities, type AuthoritySource } from './authorities.js';
import {
  agentProfile,
  CONTROLLER_PROFILE,
  issue,
  sign,
  SIGNER_PROFILE,
  type Profile,
} from './certificates.js';

/** How often it is looked whether the authorities have changed, and whether something is due. */
const LOOK_EVERY_MS = 30_000;

export interface IssuedOptions {
  authorities: AuthoritySource;
  /** Of every certificate that is not an authority's. */
  lifetimeMs: number;
  log: Log;
  metrics?: Metrics;
  lookEveryMs?: number;
  /** Default: Math.random. */
  random?: () => number;
}

/** One certificate of the controller's own. */
class OwnIdentity extends IdentityKeeper {
  #renewAt = 0;

  constructor(
    private readonly profile: Profile,
    private readonly lifetimeMs: number,
    private readonly random: () => number,
  ) {
    super();
  }

  /** Takes over the authorities, and a new certificate when it is time or the old one is believed no longer. */
  async keepUp(authorities: Authorities, now: number): Promise<void> {
    const ca = bundleOf(authorities);
    const known = this.current;
    const isDue =
      !known || now >= this.#renewAt || !isIssuedBy(new X509Certificate(known.cert), certificatesOf(ca));
    if (!isDue) {
      this.set({ ...known, ca });
      return;
    }
    const made = await issue(authorities.current!, this.profile, this.lifetimeMs, now);
    this.#renewAt = renewalTime(new X509Certificate(made.cert), this.random());
    this.set({ ...made, ca });
  }

  override close(): void {}
}

export class IssuedIdentity {
  /** What the controller shows to agents. */
  readonly controller: OwnIdentity;
  /** What it shows to those that come for a certificate. */
  readonly signer: OwnIdentity;
  #authorities: Authorities | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  private constructor(private readonly options: IssuedOptions) {
    const { lifetimeMs, metrics, random = Math.random } = options;
    this.controller = new OwnIdentity(CONTROLLER_PROFILE, lifetimeMs, random);
    this.signer = new OwnIdentity(SIGNER_PROFILE, lifetimeMs, random);
    const seconds = (cert: string | undefined): number =>
      cert ? endOf(new X509Certificate(cert)) / 1000 : NaN;
    metrics?.gauge('lpm_certificate_expiry_seconds', 'When the certificate for the agents ends.', () =>
      seconds(this.controller.current?.cert),
    );
    metrics?.gauge('lpm_ca_expiry_seconds', 'When the authority that signs now ends.', () =>
      seconds(this.#authorities?.current?.cert),
    );
  }

  /** @throws what keeps it from having an authority */
  static async start(options: IssuedOptions): Promise<IssuedIdentity> {
    const made = new IssuedIdentity(options);
    await made.look();
    made.#plan();
    return made;
  }

  /** What is published. */
  get bundle(): string {
    return this.#authorities ? bundleOf(this.#authorities) : '';
  }

  /** A certificate for the agent of a node, PEM. */
  async signAgent(nodeName: string, key: x509.PublicKey): Promise<string> {
    const current = this.#authorities?.current;
    if (!current) throw new LpmError('NoCertificate', 'This controller has no authority yet.');
    return sign(current, agentProfile(nodeName), key, this.options.lifetimeMs);
  }

  /** Reads the authorities now, and renews what is due. */
  async look(): Promise<void> {
    const authorities = await this.options.authorities.read();
    const now = Date.now();
    this.#authorities = authorities;
    await this.controller.keepUp(authorities, now);
    await this.signer.keepUp(authorities, now);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #plan(): void {
    const { lifetimeMs, lookEveryMs = LOOK_EVERY_MS, log } = this.options;
    // Certificates that live for seconds (in tests) are looked after more often.
    this.#timer = setTimeout(
      () => {
        void this.look()
          .catch((error: unknown) =>
            log.warn(
              `The authority of our certificates cannot be read: ${messageOf(error)} It is tried again.`,
            ),
          )
          .finally(() => {
            if (!this.#closed) this.#plan();
          });
      },
      Math.min(lookEveryMs, lifetimeMs / 10),
    ).unref();
  }
}
