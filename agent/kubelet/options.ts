import { LpmError } from '../../common/errors.js';

export const AUTH_WAYS = ['token', 'certificate'] as const;

/** Certificate and key, each a PEM file; the same file when it holds both. */
export interface PairFiles {
  cert: string;
  key: string;
}

/** How this node's kubelet is reached, who we are to it, and how it is known to be the kubelet. */
export interface KubeletOptions {
  host: string;
  port: number;
  /** In the order in which they are tried. */
  auth: readonly (typeof AUTH_WAYS)[number][];
  tokenFile: string;
  /** A pair, or a folder in which every pair counts. */
  clientCertificates: readonly (PairFiles | string)[];
  /** Nothing but this authority is trusted; absent: servingCertificates and clusterCas. */
  caFile?: string;
  /** Where a kubelet keeps its serving certificate: exactly that one is trusted. */
  servingCertificates: readonly string[];
  /** The cluster's authority: a certificate of it counts when it names this node or the address. */
  clusterCas: readonly string[];
  insecureSkipVerify: boolean;
}

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';
const KUBELET_PKI = '/var/lib/kubelet/pki';

/** Where clusters have a client certificate that a kubelet accepts. */
const CLIENT_CERTIFICATES: readonly (PairFiles | string)[] = [
  {
    cert: '/etc/kubernetes/pki/apiserver-kubelet-client.crt',
    key: '/etc/kubernetes/pki/apiserver-kubelet-client.key',
  },
  { cert: `${KUBELET_PKI}/kubelet-client-current.pem`, key: `${KUBELET_PKI}/kubelet-client-current.pem` },
  '/etc/ssl/certs/kubelet',
];

/** For yargs. Files that flags name are looked for in the agent's own root first, then on the node. */
export const kubeletFlags = {
  'kubelet-address': {
    type: 'string',
    default: process.env.HOST_IP ?? '127.0.0.1',
    describe: "HOST[:PORT] of this node's kubelet",
  },
  'kubelet-auth': {
    type: 'string',
    array: true,
    choices: AUTH_WAYS,
    default: [...AUTH_WAYS],
    describe: 'how to authenticate to the kubelet, in the order in which it is tried',
  },
  'kubelet-token-file': {
    type: 'string',
    default: `${SERVICE_ACCOUNT}/token`,
    describe: 'ServiceAccount token for the kubelet, read for each request',
  },
  'kubelet-client-cert': {
    type: 'string',
    describe: "client certificate for the kubelet, in place of those in kubeadm's usual places",
  },
  'kubelet-client-key': { type: 'string', describe: 'its key (default: in the same file)' },
  'kubelet-ca': {
    type: 'string',
    describe:
      "authority of the kubelet's serving certificate, or that certificate (default: the file on the node, or the cluster's authority)",
  },
  'kubelet-insecure-skip-verify': {
    type: 'boolean',
    default: false,
    describe:
      "send the credential to whoever answers at the kubelet's address (each time a warning is logged)",
  },
} as const;

interface Parsed {
  'kubelet-address': string;
  'kubelet-auth': readonly (typeof AUTH_WAYS)[number][];
  'kubelet-token-file': string;
  'kubelet-client-cert'?: string | undefined;
  'kubelet-client-key'?: string | undefined;
  'kubelet-ca'?: string | undefined;
  'kubelet-insecure-skip-verify': boolean;
}

/** @throws InvalidArgument */
export function kubeletOptions(parsed: Parsed): KubeletOptions {
  const cert = parsed['kubelet-client-cert'];
  const key = parsed['kubelet-client-key'];
  const caFile = parsed['kubelet-ca'];
  if (key && !cert) {
    throw new LpmError('InvalidArgument', '--kubelet-client-key needs --kubelet-client-cert.');
  }
  return {
    ...hostAndPort(parsed['kubelet-address']),
    auth: parsed['kubelet-auth'],
    tokenFile: parsed['kubelet-token-file'],
    clientCertificates: cert ? [{ cert, key: key ?? cert }] : CLIENT_CERTIFICATES,
    ...(caFile ? { caFile } : {}),
    servingCertificates: [`${KUBELET_PKI}/kubelet.crt`, `${KUBELET_PKI}/kubelet-server-current.pem`],
    clusterCas: [`${SERVICE_ACCOUNT}/ca.crt`, '/etc/kubernetes/pki/ca.crt'],
    insecureSkipVerify: parsed['kubelet-insecure-skip-verify'],
  };
}

/** "10.0.0.1", "10.0.0.1:10250", "fd00::1" and "[fd00::1]:10250". */
function hostAndPort(address: string): { host: string; port: number } {
  const [, bracketed, plain, digits] =
    /^(?:\[([^\]]+)\]|([^:]+|[^:]*(?::[^:]*){2,}))(?::(\d+))?$/.exec(address) ?? [];
  const host = bracketed ?? plain;
  const port = digits === undefined ? 10250 : Number(digits);
  if (host && port > 0 && port < 65536) return { host, port };
  throw new LpmError('InvalidArgument', `--kubelet-address "${address}" is not HOST or HOST:PORT.`);
}
