import { X509Certificate } from 'node:crypto';
import { checkServerIdentity, type ConnectionOptions, type PeerCertificate } from 'node:tls';
import { LpmError } from '../../common/errors.js';
import type { Host } from '../host.js';
import { readEither } from './files.js';
import type { KubeletOptions } from './options.js';

type Trust = Pick<
  ConnectionOptions,
  'ca' | 'checkServerIdentity' | 'rejectUnauthorized' | 'allowPartialTrustChain'
>;

/**
 * How the kubelet's serving certificate is verified. Most kubelets have one that nobody else signed (kubeadm without
 * serverTLSBootstrap), in a file on the node: exactly that one is accepted, whatever names it carries. One that the
 * cluster's authority signed must name this node or the address.
 *
 * @throws KubeletUntrusted when there is nothing to verify it against
 */
export function kubeletTrust(host: Host, options: KubeletOptions, nodeName: string): Trust {
  if (options.insecureSkipVerify) return { rejectUnauthorized: false };
  const problems: string[] = [];
  const read = (path: string): string[] => {
    const found = readEither(host, path);
    if ('problem' in found) problems.push(found.problem);
    return 'text' in found ? certificatesIn(found.text) : [];
  };
  const pinned = options.caFile ? [] : options.servingCertificates.flatMap((file) => read(file).slice(0, 1));
  const authorities = options.caFile ? read(options.caFile) : options.clusterCas.flatMap(read);
  if (pinned.length + authorities.length === 0) {
    throw new LpmError(
      'KubeletUntrusted',
      `The kubelet of node ${nodeName} was not asked, because its serving certificate cannot be verified: ${
        problems.join('; ') || 'no certificate was found to verify it against'
      }.`,
      {
        hint: 'Name the authority of that certificate, or the certificate itself, with the agent’s flag --kubelet-ca.',
      },
    );
  }
  const exactly = [...pinned, ...(options.caFile ? authorities : [])].map(
    (pem) => new X509Certificate(pem).raw,
  );
  return {
    ca: [...pinned, ...authorities],
    // A pinned certificate is the end of the chain although it is no authority and may be signed by one.
    allowPartialTrustChain: true,
    checkServerIdentity: (_name, certificate) => {
      if (exactly.some((raw) => raw.equals(certificate.raw))) return undefined;
      return namedProblem([options.host, nodeName], certificate);
    },
  };
}

function namedProblem(names: string[], certificate: PeerCertificate): Error | undefined {
  const problems = names.map((name) => checkServerIdentity(name, certificate));
  return problems.includes(undefined) ? undefined : problems[0];
}

/** The certificates of a PEM file; what cannot be parsed is none. */
function certificatesIn(pem: string): string[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/g) ?? [];
  return blocks.filter((block) => {
    try {
      return new X509Certificate(block).raw.length > 0;
    } catch {
      return false;
    }
  });
}
