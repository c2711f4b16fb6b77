/**
 * The agent's certificate from the controller, which says by its token which node it is for. It is kept on the node's disk and renewed
 * long before it ends; while nobody can be asked, the one that is there serves.
 */
import { X509Certificate } from 'node:crypto';
import { agentDnsName } from '../../common/api/names.js';
import { LpmError, messageOf } from '../../common/errors.js';
import {
  certificatesOf,
  flawOf,
  IdentityKeeper,
  isIssuedBy,
  type Identity,
} from '../../common/identity/identity.js';
import { endOf, renewalTime } from '../../common/identity/times.js';
import { backoffMs, pause } from '../../common/kube/backoff.js';
import type { SignRequest, SignResponse } from '../../proto/gen/lpm/v1/identity.js';
import type { Logger } from '../log.js';
import type { Authority } from './authority.js';
import { newRequest } from './request.js';
import { readStored, writeStored } from './stored.js';

export interface IssuedOptions {
  /** Where the identity is kept. */
  folder: string;
  nodeName: string;
  /** Whom to believe now, and who signs. */
  authority: () => Promise<Authority>;
  /** Asks for a certificate. */
  sign: (authority: Authority, request: SignRequest) => Promise<SignResponse>;
  /** The token that says which pod we are; read each time, because the kubelet renews it. */
  token: () => string;
  log: Logger;
  lookEveryMs?: number;
  random?: () => number;
}

/** How often it is looked whom to believe: well within the time for which a new authority is published before it signs. */
const LOOK_EVERY_MS = 5 * 60_000;
const BACKOFF = { initialMs: 500, maxMs: 15_000 };

export class IssuedIdentity extends IdentityKeeper {
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #renewAt = 0;

  constructor(private readonly options: IssuedOptions) {
    super();
    const stored = readStored(options.folder);
    if (stored && isOfNode(stored.cert, options.nodeName) && !isOver(stored)) this.#use(stored);
    else this.problem = 'The agent has no certificate yet; it asks the controller for one.';
    this.#running = this.#run();
  }

  override close(): void {
    this.#stop.abort();
  }

  /** Resolves when nothing is asked for any more. */
  get ended(): Promise<void> {
    return this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    for (let failures = 0; !signal.aborted;) {
      let wait: number;
      try {
        await this.#keepUp();
        failures = 0;
        this.problem = '';
        // Not sooner than in a second: a certificate that is due at once would be asked for without end.
        wait = Math.min(
          this.options.lookEveryMs ?? LOOK_EVERY_MS,
          Math.max(1000, this.#renewAt - Date.now()),
        );
      } catch (error) {
        failures += 1;
        this.#complain(error, failures);
        wait = backoffMs(failures, BACKOFF);
      }
      await pause(wait, signal);
    }
  }

  async #keepUp(): Promise<void> {
    const authority = await this.options.authority();
    const known = this.current;
    // Before anything else: by the authorities the others are known, whether we get a certificate or not.
    if (known && known.ca !== authority.ca) this.#keep({ ...known, ca: authority.ca });
    const isBelieved = known && isIssuedBy(new X509Certificate(known.cert), certificatesOf(authority.ca));
    if (isBelieved && Date.now() < this.#renewAt) return;
    this.#keep(await this.#ask(authority));
    this.options.log.info('a certificate was issued to this agent', {
      until: new Date(endOf(new X509Certificate(this.current!.cert))).toISOString(),
      renewal: new Date(this.#renewAt).toISOString(),
    });
  }

  async #ask(authority: Authority): Promise<Identity> {
    const { key, der } = await newRequest();
    const { certificate, authorities } = await this.options.sign(authority, {
      token: this.options.token(),
      request: der,
    });
    const identity = { cert: certificate, key, ca: authorities };
    const flaw = flawOf(identity);
    if (flaw) throw new LpmError('NoCertificate', `The certificate that was issued cannot be used: ${flaw}.`);
    if (!isOfNode(certificate, this.options.nodeName)) {
      throw new LpmError(
        'NoCertificate',
        `The certificate that was issued is not for node ${this.options.nodeName}.`,
        { hint: 'The name given with --node-name must be that of the node object.' },
      );
    }
    return identity;
  }

  #keep(identity: Identity): void {
    writeStored(this.options.folder, identity);
    this.#use(identity);
  }

  #use(identity: Identity): void {
    this.#renewAt = renewalTime(new X509Certificate(identity.cert), (this.options.random ?? Math.random)());
    this.set(identity);
  }

  #complain(error: unknown, failures: number): void {
    const message = messageOf(error);
    // The same trouble again and again is said at longer and longer intervals.
    if (Number.isInteger(Math.log2(failures))) {
      this.options.log.warn('no certificate can be had now; it is asked for again', {
        error,
        attempt: failures,
      });
    }
    const known = this.current;
    if (!known) this.problem = message;
    else if (isOver(known)) this.problem = `The agent's certificate has expired. ${message}`;
  }
}

const isOver = ({ cert }: Identity): boolean => endOf(new X509Certificate(cert)) <= Date.now();

const isOfNode = (cert: string, nodeName: string): boolean =>
  new X509Certificate(cert).checkHost(agentDnsName(nodeName), { wildcards: false }) !== undefined;
