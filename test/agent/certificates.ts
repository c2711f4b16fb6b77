/** The certificates by which agents and controller know each other, issued by a test's own authority. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  AGENT_COMMON_NAME_PREFIX,
  AGENT_ORGANIZATION,
  agentDnsName,
  CONTROLLER_COMMON_NAME,
  CONTROLLER_ORGANIZATION,
} from '../../common/api/names.js';
import { issueCertificate, type KeyPair } from '../cluster/pki.js';

export const controllerCertificate = (ca: KeyPair): Promise<KeyPair> =>
  issueCertificate(ca, {
    commonName: CONTROLLER_COMMON_NAME,
    organization: [CONTROLLER_ORGANIZATION],
    usages: ['client'],
  });

/** Makes a folder as the agent's --tls-dir wants it, and answers it. */
export async function writeAgentTls(
  folder: string,
  nodeName: string,
  ip: string,
  ca: KeyPair,
): Promise<string> {
  mkdirSync(folder, { recursive: true });
  const { cert, key } = await issueCertificate(ca, {
    commonName: `${AGENT_COMMON_NAME_PREFIX}${nodeName}`,
    organization: [AGENT_ORGANIZATION],
    dnsNames: [agentDnsName(nodeName)],
    ipAddresses: [ip],
    usages: ['client', 'server'],
  });
  writeFileSync(join(folder, 'tls.crt'), cert);
  writeFileSync(join(folder, 'tls.key'), key);
  writeFileSync(join(folder, 'ca.crt'), ca.cert);
  return folder;
}
