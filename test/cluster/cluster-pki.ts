import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  agentDnsName,
  AGENT_COMMON_NAME_PREFIX,
  AGENT_ORGANIZATION,
  CONTROLLER_COMMON_NAME,
  CONTROLLER_ORGANIZATION,
} from '../../common/api/names.js';
import { gateway, nodePlans, type Layout } from './layout.js';
import { createCa, issueCertificate, type CertificateRequest, type KeyPair } from './pki.js';

function write(file: string, { cert, key }: KeyPair): void {
  writeFileSync(`${file}.crt`, cert);
  writeFileSync(`${file}.key`, key, { mode: 0o600 });
}

const read = (file: string): KeyPair => ({
  cert: readFileSync(`${file}.crt`, 'utf8'),
  key: readFileSync(`${file}.key`, 'utf8'),
});

/** Names of the certificates in the pki folder, and what each says of its holder. */
function requests(): Record<string, CertificateRequest> {
  const kubelets = nodePlans.flatMap(({ name, ip }): [string, CertificateRequest][] => [
    [
      `kubelet-${name}`,
      { commonName: `system:node:${name}`, organization: ['system:nodes'], usages: ['client'] },
    ],
    [
      `kubelet-${name}-server`,
      {
        commonName: `system:node:${name}`,
        organization: ['system:nodes'],
        dnsNames: [name],
        ipAddresses: [ip, '127.0.0.1'],
        usages: ['server'],
      },
    ],
  ]);
  const service = ['kubernetes', 'kubernetes.default', 'kubernetes.default.svc'];
  return {
    apiserver: {
      commonName: 'kube-apiserver',
      dnsNames: ['localhost', ...service, 'kubernetes.default.svc.cluster.local'],
      ipAddresses: ['127.0.0.1', gateway, '10.96.0.1'],
      usages: ['server'],
    },
    'apiserver-kubelet-client': {
      commonName: 'kube-apiserver-kubelet-client',
      organization: ['system:masters'],
      usages: ['client'],
    },
    admin: { commonName: 'kubernetes-admin', organization: ['system:masters'], usages: ['client'] },
    ...Object.fromEntries(kubelets),
  };
}

/**
 * Certificates of the cluster (authority `ca`) and of our own programs (authority `lpm-ca`). What is there stays; the
 * folders tls-<name> hold tls.crt, tls.key and ca.crt as agent and controller read them.
 */
export async function createPki(layout: Layout): Promise<void> {
  const { pki } = layout;
  mkdirSync(pki, { recursive: true, mode: 0o700 });
  for (const ca of ['ca', 'lpm-ca']) {
    if (!existsSync(join(pki, `${ca}.crt`)))
      write(join(pki, ca), await createCa(ca === 'ca' ? 'kubernetes' : 'lpm-ca'));
  }
  // A real API server signs the tokens of ServiceAccounts with its key; nobody trusts it as an authority.
  if (!existsSync(join(pki, 'service-account.crt'))) {
    write(join(pki, 'service-account'), await createCa('service-account'));
  }
  const ca = read(join(pki, 'ca'));
  for (const [name, request] of Object.entries(requests())) {
    const file = join(pki, name);
    if (!existsSync(`${file}.crt`)) write(file, await issueCertificate(ca, request));
  }
  const own = read(join(pki, 'lpm-ca'));
  const programs: Record<string, CertificateRequest> = {
    controller: {
      commonName: CONTROLLER_COMMON_NAME,
      organization: [CONTROLLER_ORGANIZATION],
      usages: ['client'],
    },
  };
  for (const { name, ip } of nodePlans) {
    programs[`agent-${name}`] = {
      commonName: `${AGENT_COMMON_NAME_PREFIX}${name}`,
      organization: [AGENT_ORGANIZATION],
      dnsNames: [agentDnsName(name)],
      ipAddresses: [ip],
      // Agents also call each other.
      usages: ['client', 'server'],
    };
  }
  for (const [name, request] of Object.entries(programs)) {
    const folder = tlsDir(layout, name);
    if (existsSync(join(folder, 'tls.crt'))) continue;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const { cert, key } = await issueCertificate(own, request);
    writeFileSync(join(folder, 'tls.key'), key, { mode: 0o600 });
    writeFileSync(join(folder, 'ca.crt'), own.cert);
    writeFileSync(join(folder, 'tls.crt'), cert);
  }
}

export const tlsDir = (layout: Layout, program: string): string => join(layout.pki, `tls-${program}`);

/** A kubeconfig with everything inside, so that it can be copied anywhere. */
export function writeKubeconfig(layout: Layout, file: string, user: string, server: string): void {
  const base64 = (name: string): string => readFileSync(join(layout.pki, name)).toString('base64');
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'lpm-local', cluster: { server, 'certificate-authority-data': base64('ca.crt') } }],
    users: [
      {
        name: user,
        user: { 'client-certificate-data': base64(`${user}.crt`), 'client-key-data': base64(`${user}.key`) },
      },
    ],
    contexts: [{ name: 'lpm-local', context: { cluster: 'lpm-local', user, namespace: 'default' } }],
    'current-context': 'lpm-local',
  };
  // JSON is YAML too.
  writeFileSync(file, `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 });
}
