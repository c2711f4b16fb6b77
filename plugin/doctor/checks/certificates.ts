/** Certificates with which controller and agents know each other, as far as the API shows them: who signs, and until when. */
import { X509Certificate } from 'node:crypto';
import {
  AUTHORITY_CERTIFICATES,
  AUTHORITY_CONFIG_MAP,
  AUTHORITY_SIGNERS,
  SYSTEM_NAMESPACE,
} from '../../../common/api/names.js';
import type { Node } from '../../../common/kube/types.js';
import { Check, type Finding } from '../finding.js';
import { GIVEN_SECRET } from '../objects.js';
import type { Observed } from '../observed.js';
import { age } from '../../text/duration.js';
import { agentOn } from './agents.js';
import { CONTROLLER_LOGS } from './words.js';

const WEEK_MS = 7 * 86_400_000;

export function certificates(observed: Observed): Finding[] {
  const check = new Check('certificates');
  const { authority, given, deployment } = observed;
  // Without the project there is nobody who would have any.
  if ('seen' in deployment && !deployment.seen) return [];
  if ('hidden' in authority) return [check.unknown(authority.hidden)];
  if (authority.seen) {
    const bundle = authority.seen.data?.[AUTHORITY_CERTIFICATES] ?? '';
    const signers = (authority.seen.data?.[AUTHORITY_SIGNERS] ?? '').split('\n').filter(Boolean);
    const judged = judge(check, bundle, observed.now, {
      what: 'The authority of controller and agents',
      mend: CONTROLLER_LOGS,
      // The controller makes a new one in time: that one is about to end is nothing to be done by a person.
      soon: 0,
    });
    if (judged.status !== 'ok') return [judged];
    if (signers.length === 0) {
      return [
        check.fail(
          'No replica of the controller signs certificates, so agents that start get none.',
          CONTROLLER_LOGS,
        ),
      ];
    }
    return [check.ok(`made by the controller, ${judged.message}`)];
  }
  if ('hidden' in given) {
    return [
      check.unknown(
        `There is no ConfigMap ${AUTHORITY_CONFIG_MAP}; whether certificates were given by hand: ${given.hidden}`,
      ),
    ];
  }
  const pem = given.seen?.data?.['tls.crt'];
  if (pem === undefined) {
    return [
      check.fail(
        `Controller and agents have no certificates: there is neither the ConfigMap ${AUTHORITY_CONFIG_MAP}, which the controller makes, nor the Secret ${GIVEN_SECRET}.`,
        CONTROLLER_LOGS,
      ),
    ];
  }
  const judged = judge(check, Buffer.from(pem, 'base64').toString(), observed.now, {
    what: `The controller's certificate (Secret ${GIVEN_SECRET})`,
    mend: `kubectl describe secret -n ${SYSTEM_NAMESPACE} ${GIVEN_SECRET} # given by hand or by cert-manager: renew it there`,
    soon: WEEK_MS,
  });
  return [judged.status === 'ok' ? check.ok(`given, ${judged.message}`) : judged];
}

interface About {
  what: string;
  mend: string;
  /** Milliseconds before the end from which on it is worth a warning. */
  soon: number;
}

/** The longest-lived of a bundle counts: an authority that was replaced stays in it until its certificates are gone. */
function judge(check: Check, pem: string, now: number, { what, mend, soon }: About): Finding {
  const found = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  let ends: number[];
  try {
    ends = found.map((one) => Date.parse(new X509Certificate(one).validTo));
  } catch {
    ends = [];
  }
  if (ends.length === 0) return check.fail(`${what} cannot be read.`, mend);
  const left = Math.max(...ends) - now;
  if (left <= 0) return check.fail(`${what} expired ${age(-left)} ago.`, mend);
  if (left < soon) return check.warn(`${what} expires in ${age(left)}.`, mend);
  return check.ok(`valid for ${age(left)}`);
}

/** Each agent renews its own in time; one that could not says so here. */
export function agentCertificates({ agents, metrics, now }: Observed, nodes: readonly Node[]): Finding[] {
  const check = new Check('agent-certificate');
  if ('hidden' in agents) return [];
  return nodes.flatMap(({ metadata: { name } }) => {
    const pod = agentOn(agents.seen, name);
    const told = metrics.get(pod?.metadata.uid ?? '');
    const end =
      told && 'seen' in told ? told.seen.values.get('lpm_agent_certificate_expiry_seconds') : undefined;
    // Whether it could be asked is said with the agent itself.
    if (pod === undefined || end === undefined) return [];
    const left = end * 1000 - now;
    const logs = `kubectl logs -n ${SYSTEM_NAMESPACE} ${pod.metadata.name}`;
    if (Number.isNaN(left))
      return [check.on(name).fail('The agent has no certificate, so nobody is served by it.', logs)];
    if (left <= 0)
      return [check.on(name).fail(`The certificate of the agent expired ${age(-left)} ago.`, logs)];
    return [check.on(name).ok(`valid for ${age(left)}`)];
  });
}
