/** The authorities of the cluster, in a Secret that only the controller may read. All replicas keep it up together. */
import { AUTHORITY_SECRET, ROTATE_ANNOTATION } from '../../common/api/names.js';
import { LpmError, messageOf } from '../../common/errors.js';
import { ApiError } from '../../common/kube/api-error.js';
import type { KubeClient } from '../../common/kube/client.js';
import type { Secret } from '../../common/kube/types.js';
import { certificatesOf } from '../../common/identity/identity.js';
import {
  afterStep,
  nextStep,
  type Authorities,
  type AuthoritySource,
  type AuthorityTimes,
  type Step,
} from './authorities.js';
import { makeAuthority } from './certificates.js';

/** Another replica may be quicker; more often than this and something must be wrong. */
const CONFLICTS = 10;

export class AuthoritySecret implements AuthoritySource {
  constructor(
    private readonly client: KubeClient,
    private readonly namespace: string,
    private readonly times: AuthorityTimes,
    private readonly onStep: (step: Step) => void = () => {},
    private readonly now: () => number = Date.now,
  ) {}

  /**
   * Reads the authorities, and does what is due. Every write names the version that it was decided on: of several replicas
   * one writes, and the others read what it wrote.
   *
   * @throws InvalidArgument when the Secret is not there or not to be understood
   */
  async read(): Promise<Authorities> {
    for (let conflicts = 0; ;) {
      const secret = await this.#find();
      const authorities = decode(secret, this.namespace);
      const asked = secret.metadata.annotations?.[ROTATE_ANNOTATION] !== undefined;
      const now = this.now();
      const step = nextStep(authorities, this.times, now, asked);
      if (step === 'keep') return authorities;
      const isNew = step === 'create' || step === 'prepare';
      const made = isNew ? await makeAuthority(this.times.lifetimeMs, now) : undefined;
      try {
        await this.client.secrets.replace(encode(secret, afterStep(authorities, step, now, made), step));
        this.onStep(step);
      } catch (error) {
        if (!(error instanceof ApiError && error.isConflict) || (conflicts += 1) >= CONFLICTS) throw error;
      }
    }
  }

  async #find(): Promise<Secret> {
    const secret = await this.client.secrets.find(AUTHORITY_SECRET, this.namespace);
    if (secret) return secret;
    throw new LpmError('InvalidArgument', `There is no Secret ${this.namespace}/${AUTHORITY_SECRET}.`, {
      hint: 'The manifests have it, empty, for the controller to fill: kubectl apply -k manifests. Without it, give certificates with --tls-dir.',
    });
  }
}

const KEYS = {
  currentCert: 'ca.crt',
  currentKey: 'ca.key',
  nextCert: 'next.crt',
  nextKey: 'next.key',
  old: 'old.crt',
} as const;

function decode({ data = {} }: Secret, namespace: string): Authorities {
  const text = (key: string): string => Buffer.from(data[key] ?? '', 'base64').toString();
  const pair = (cert: string, key: string): { cert: string; key: string } | undefined =>
    text(cert) && text(key) ? { cert: text(cert), key: text(key) } : undefined;
  const current = pair(KEYS.currentCert, KEYS.currentKey);
  const next = pair(KEYS.nextCert, KEYS.nextKey);
  try {
    for (const one of [current, next]) if (one) certificatesOf(one.cert);
    return {
      ...(current ? { current } : {}),
      ...(next ? { next } : {}),
      old: certificatesOf(text(KEYS.old)).map(String),
    };
  } catch (error) {
    throw new LpmError(
      'InvalidArgument',
      `The Secret ${namespace}/${AUTHORITY_SECRET} holds something else than certificates: ${messageOf(error)}.`,
      {
        hint: `Empty it, and the controller makes a new authority: kubectl patch secret ${AUTHORITY_SECRET} -n ${namespace} --type=json -p '[{"op":"remove","path":"/data"}]'`,
        cause: error,
      },
    );
  }
}

function encode(secret: Secret, { current, next, old }: Authorities, step: Step): Secret {
  const values: Record<string, string> = {
    [KEYS.currentCert]: current?.cert ?? '',
    [KEYS.currentKey]: current?.key ?? '',
    [KEYS.nextCert]: next?.cert ?? '',
    [KEYS.nextKey]: next?.key ?? '',
    [KEYS.old]: old.join(''),
  };
  const { [ROTATE_ANNOTATION]: asked, ...others } = secret.metadata.annotations ?? {};
  const annotations =
    step === 'prepare' || step === 'create' || asked === undefined
      ? others
      : { ...others, [ROTATE_ANNOTATION]: asked };
  return {
    ...secret,
    metadata: { ...secret.metadata, annotations },
    data: Object.fromEntries(
      Object.entries(values)
        .filter(([, value]) => value)
        .map(([key, value]) => [key, Buffer.from(value).toString('base64')]),
    ),
  };
}
